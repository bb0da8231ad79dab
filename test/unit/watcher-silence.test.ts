import { afterEach, describe, expect, it, vi } from 'vitest';
import { until } from '../support/until.ts';
import { kinds, Plant, settle } from './plant.ts';

// Silence: what no reading tells is told by the clock, and stored before a crash can forget it.

let plant: Plant;

const LIMITS = { pump: { silenceSeconds: 60, severity: 'critical' } } as const;

async function startPlant() {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  plant = new Plant();
  return plant.start({ limits: LIMITS });
}

afterEach(async () => {
  vi.useRealTimers();
  plant.append = async () => {};
  await plant.stop();
});

/** The clock is told at this moment of the run clock. */
async function at(runMs: number): Promise<void> {
  plant.runMs = runMs;
  vi.advanceTimersByTime(1_000);
  await settle();
}

describe('a device that falls silent', () => {
  it('is an alert, which ends with its next reading', async () => {
    await startPlant();
    // Records are a second apart: the third is at 2,000 ms.
    await plant.see(20, 20, 20);
    await at(61_000);
    expect(plant.alerts).toEqual([]);
    await at(92_000);
    expect(plant.alerts).toEqual(['begin:d1/silence/silence%3Apump:a1b2:readings:0:2']);
    expect(plant.messages[0]).toMatchObject({
      severity: 'critical',
      fault: 'silence',
      value: 90,
      reason: 'd1 has been silent for 90 s, expected within 60 s (limit pump)',
    });
    expect(plant.lineActive).toBe(true);
    await at(500_000);
    await plant.see(20);
    expect(plant.alerts.slice(1)).toEqual(['end:d1/silence/silence%3Apump:a1b2:readings:0:2']);
    expect(plant.lineActive).toBe(false);
  });

  it('is an alert still after a crash at once after it, and no second one', async () => {
    await startPlant();
    await plant.see(20, 20, 20);
    await at(92_000);
    const { alerter, counters } = await plant.start({ limits: LIMITS });
    expect([alerter.active, counters.alerts, plant.lineActive]).toEqual([1, 0, true]);
    await at(999_000);
    expect(kinds(plant.alerts)).toEqual(['begin']);
    await plant.see(20);
    expect(kinds(plant.alerts)).toEqual(['begin', 'end']);
  });

  it('is in the state before it is told: a crash in between tells it from there', async () => {
    await startPlant();
    await plant.see(20, 20, 20);
    plant.append = () => new Promise(() => {});
    await at(92_000);
    expect([plant.lineActive, plant.alerts]).toEqual([true, []]);
    plant.append = async () => {};
    const { alerter } = await plant.start({ limits: LIMITS });
    expect([alerter.active, kinds(plant.alerts)]).toEqual([1, ['begin']]);
    await plant.see(20);
    expect(kinds(plant.alerts)).toEqual(['begin', 'end']);
    // The first watcher waits for flash for ever: it has crashed.
    plant = new Plant();
  });

  it('is told on flash no sooner than its state is there; the line does not wait', async () => {
    await startPlant();
    await plant.see(20, 20, 20);
    const write = plant.state.write.bind(plant.state);
    let saved = () => {};
    vi.spyOn(plant.state, 'write').mockImplementation(async (changes) => {
      await new Promise<void>((resolve) => (saved = resolve));
      await write(changes);
    });
    await at(92_000);
    expect([plant.lineActive, plant.alerts]).toEqual([true, []]);
    saved();
    await settle();
    expect(kinds(plant.alerts)).toEqual(['begin']);
    vi.restoreAllMocks();
  });

  it('is an alert again if a crash forgot it: it ends, and is told anew', async () => {
    await startPlant();
    const { state } = plant;
    await plant.see(20, 20, 20);
    vi.spyOn(state, 'write').mockRejectedValue(new Error('injected'));
    await at(92_000);
    vi.restoreAllMocks();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    plant.runMs = 2_000;
    const { alerter } = await plant.start({ limits: LIMITS });
    expect([alerter.active, kinds(plant.alerts)]).toEqual([0, ['begin', 'end']]);
    await at(92_000);
    expect(kinds(plant.alerts)).toEqual(['begin', 'end', 'begin']);
    expect(new Set(plant.alerts).size).toBe(3);
    expect(plant.lineActive).toBe(true);
  });

  it('has its whole time again after a restart', async () => {
    await startPlant();
    await plant.see(20, 20, 20);
    await plant.stop();
    plant.runMs = 50_000;
    await plant.start({ limits: LIMITS });
    await at(139_000);
    expect(plant.alerts).toEqual([]);
    await at(140_000);
    expect(kinds(plant.alerts)).toEqual(['begin']);
  });

  it('is nobody while there are readings that are not handled yet', async () => {
    const { consumer } = await startPlant();
    await plant.see(20, 20, 20);
    vi.spyOn(consumer, 'backlog').mockReturnValue(1);
    await at(92_000);
    expect(plant.alerts).toEqual([]);
    vi.restoreAllMocks();
  });

  it('has no alert any more when its limit is taken out of the settings', async () => {
    await startPlant();
    await plant.see(20, 20, 20);
    await at(92_000);
    await plant.stop();
    const { alerter } = await plant.start();
    expect([alerter.active, kinds(plant.alerts)]).toEqual([0, ['begin', 'end']]);
  });
});

describe('readings that are withdrawn', () => {
  it('leave no silence behind that was told before they could be stored', async () => {
    const { alerter } = await startPlant();
    plant.stream.commit(0);
    await plant.see(20, 20, 20);
    await at(92_000);
    expect(plant.lineActive).toBe(true);
    plant.stream.withdraw();
    await settle();
    expect([plant.alerts, plant.lineActive, alerter.active]).toEqual([[], false, 0]);
  });

  it('end what a state that could not be stored has begun', async () => {
    const { alerter } = await startPlant();
    await plant.see(20, 20, 20);
    vi.spyOn(plant.state, 'write').mockRejectedValueOnce(new Error('EIO'));
    await at(92_000);
    plant.stream.commit(3);
    await plant.see(20);
    plant.stream.withdraw();
    await settle();
    plant.stream.commit(Number.POSITIVE_INFINITY);
    await plant.see(20, 20);
    await until('the alert has ended', () => !plant.lineActive);
    expect([kinds(plant.alerts), alerter.active]).toEqual([['begin', 'end'], 0]);
  });
});

it('a record that cannot be judged is passed over, and said', async () => {
  const { consumer, detector } = await startPlant();
  vi.spyOn(detector, 'judge').mockImplementationOnce(() => {
    throw new Error('a defect');
  });
  await plant.see(20, 20);
  expect(consumer.handledCount).toBe(2);
  expect(plant.logged).toEqual(['detection cannot judge a record, and passes it over']);
});

it('a plain limit works from the first reading on', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  plant = new Plant();
  const limits = { hot: { max: 60, severity: 'critical' } } as const;
  await plant.start({ limits });
  await plant.see(61);
  expect(plant.messages[0]).toMatchObject({
    alert: 'begin:d1/temperature/limit%3Ahot:a1b2:readings:0:0',
    severity: 'critical',
    source: 'limit:hot',
    expected: [null, 60],
    reason: 'temperature of d1 is 61, too high, allowed 60 at most (limit hot)',
  });
  await plant.see(20, 20);
  expect(kinds(plant.alerts)).toEqual(['begin', 'end']);
});
