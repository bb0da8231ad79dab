import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { COUNT } from '../../src/detect/series-state.ts';
import { until } from '../support/until.ts';
import { CURSOR, calm, INDEX, kinds, LOG, Plant, settle } from './plant.ts';

// The consumer "detect" over a stream in memory: what a restart, a full disk or a log that cannot
// be read does to alerts.

let plant: Plant;

function newPlant(): Plant {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  plant = new Plant();
  return plant;
}

afterEach(async () => {
  vi.useRealTimers();
  plant.append = async () => {};
  await plant.stop();
});

describe('a restart', () => {
  it('goes on where it stopped, with what was learnt', async () => {
    const { state } = newPlant();
    await plant.start();
    await plant.see(...calm(40));
    await plant.stop();
    expect(state.stored.get(CURSOR)).toBe('40');
    const { detector, counters } = await plant.start();
    expect(detector.watched).toBe(1);
    await plant.see(80);
    expect([counters.alerts, plant.lineActive]).toEqual([1, true]);
    expect(plant.alerts).toEqual(['begin:d1/temperature:a1b2:readings:0:40']);
  });

  it('that is a crash reads again what came since, and raises nothing twice', async () => {
    newPlant();
    await plant.start();
    await plant.see(...calm(40), 80);
    const { counters, alerter } = await plant.start();
    expect([counters.alerts, alerter.active, plant.lineActive]).toEqual([0, 1, true]);
    expect(plant.alerts).toHaveLength(1);
    await plant.see(20, 20);
    expect(kinds(plant.alerts)).toEqual(['begin', 'end']);
  });

  it('after a power cut before the second checkpoint knows the alert that is on', async () => {
    const { state } = newPlant();
    await plant.start({ limits: { hot: { max: 90, severity: 'critical' } } });
    await plant.see(20, 99);
    expect(kinds(plant.alerts)).toEqual(['begin']);
    state.cutPower();
    const { alerter } = await plant.start({ limits: { hot: { max: 90, severity: 'critical' } } });
    expect([alerter.active, plant.lineActive, kinds(plant.alerts)]).toEqual([1, true, ['begin']]);
  });

  it('tells of nothing that has ended before it', async () => {
    newPlant();
    await plant.start();
    await plant.see(...calm(40), 80, 20, 20, 20);
    plant.logged.length = 0;
    const { counters, alerter } = await plant.start();
    expect([counters.alerts, alerter.active, plant.lineActive]).toEqual([0, 0, false]);
    expect(plant.logged).toEqual([]);
  });

  it('ends the alerts of a state that was lost, since nobody else would', async () => {
    newPlant();
    await plant.start();
    await plant.see(...calm(40), 80);
    plant.state.stored.clear();
    const { alerter } = await plant.start();
    expect([alerter.active, plant.lineActive]).toEqual([0, false]);
    expect(kinds(plant.alerts)).toEqual(['begin', 'end']);
  });

  it('ends the alerts that would not be ones under the settings of now', async () => {
    newPlant();
    await plant.start({ limits: { warm: { max: 23, severity: 'warning' } } });
    await plant.see(...calm(40), 24);
    expect(kinds(plant.alerts)).toEqual(['begin']);
    const { alerter } = await plant.start({ limits: { hot: { max: 90, severity: 'warning' } } });
    expect([alerter.active, kinds(plant.alerts)]).toEqual([0, ['begin', 'end']]);
  });

  it('raises again what the alerts stream has lost', async () => {
    newPlant();
    await plant.start();
    await plant.see(...calm(40), 80);
    await plant.stop();
    const other = new Plant();
    for (const [key, value] of plant.state.stored) other.state.stored.set(key, value);
    plant = other;
    const { alerter } = await plant.start();
    expect([alerter.active, plant.lineActive, kinds(plant.alerts)]).toEqual([1, true, ['begin']]);
  });

  it('drops what is stored of another log, and what it cannot read', async () => {
    const { state } = newPlant();
    const foreign = 'watch/ffff/readings/detect/index/3';
    state.bytes.set('series/ffff/readings/200/1', Buffer.from('{}'));
    const damaged = `watch/${LOG}/readings/alert/state/d1/temperature`;
    state.stored.set(foreign, '{}').set(damaged, '{"kind":"active"}').set('other', 'x');
    const { detector } = await plant.start();
    expect(detector.watched).toBe(0);
    expect([...state.stored.keys()]).toEqual(['other', CURSOR]);
    expect(state.bytes.size).toBe(0);
  });
});

describe('a checkpoint', () => {
  it('is there before the first reading', async () => {
    const { stream, state } = newPlant();
    stream.add(...calm(10));
    await plant.start();
    expect(state.stored.get(CURSOR)).toBe('10');
  });

  it('keeps to a twentieth of what the log writes', async () => {
    const { state } = newPlant();
    await plant.start();
    const tick = async () => {
      vi.advanceTimersByTime(10_000);
      await settle();
      return state.stored.get(CURSOR);
    };
    await plant.see(...calm(10));
    plant.logBytes = 43_999;
    expect(await tick()).toBe('0');
    plant.logBytes = 44_000;
    expect(await tick()).toBe('10');
    // What it takes is known by now.
    const [{ length = 0 } = []] = [...state.bytes.values()];
    await plant.see(...calm(5));
    plant.logBytes = 44_000 + 20 * length - 1;
    expect(await tick()).toBe('10');
    plant.logBytes += 1;
    expect(await tick()).toBe('15');
  });

  it('waits for the alerts that are on their way', async () => {
    const { state } = newPlant();
    await plant.start();
    let stored = () => {};
    plant.append = () => new Promise((resolve) => (stored = resolve));
    await plant.see(...calm(40), 80);
    plant.logBytes = 1e9;
    vi.advanceTimersByTime(10_000);
    await settle();
    expect(state.stored.get(CURSOR)).toBe('0');
    stored();
    await settle();
    expect(state.stored.get(CURSOR)).toBe('41');
  });

  it('that could not be written is written the next time, with all that is in it', async () => {
    const { state } = newPlant();
    await plant.start();
    await plant.see(...calm(40));
    plant.logBytes = 1e9;
    vi.spyOn(state, 'write').mockRejectedValueOnce(new Error('ENOSPC'));
    vi.advanceTimersByTime(10_000);
    await settle();
    expect(plant.logged).toEqual(['the state of detection could not be saved, trying again']);
    vi.advanceTimersByTime(10_000);
    await settle();
    expect(state.stored.get(CURSOR)).toBe('40');
    expect(state.bytes.size).toBe(1);
    expect(state.stored.get(INDEX)).toBe('[["d1","temperature",0]]');
  });

  it('is of one moment, however many readings come while it is made', async () => {
    const { state } = newPlant();
    await plant.start();
    await plant.see(...calm(40));
    plant.logBytes = 1e9;
    let goOn = () => {};
    const write = state.write.bind(state);
    vi.spyOn(state, 'write').mockImplementationOnce(async (changes) => {
      await new Promise<void>((resolve) => (goOn = resolve));
      await write(changes);
    });
    vi.advanceTimersByTime(10_000);
    await plant.see(...calm(100));
    goOn();
    await settle();
    expect(state.stored.get(CURSOR)).toBe('40');
    const [bytes] = [...state.bytes.values()];
    expect(new Float64Array(Uint8Array.from(bytes ?? []).buffer)[COUNT]).toBe(40);
    expect(plant.stream.all).toHaveLength(140);
  });
});

describe('a backlog', () => {
  it('leaves turns of the event loop to others', async () => {
    const { stream, state } = newPlant();
    state.stored.set(CURSOR, '0');
    stream.add(...calm(2_000));
    const { consumer } = await plant.start();
    expect(consumer.handledCount).toBe(2_000);
    const taken: number[] = [];
    stream.add(...calm(2_000));
    while (consumer.backlog() > 0) {
      taken.push(consumer.handledCount);
      await turn();
    }
    expect(taken.length).toBeGreaterThanOrEqual(2_000 / 256 - 1);
  });

  it('waits for flash if it raises more alerts than that takes', async () => {
    newPlant();
    const limits = { hot: { max: 50, severity: 'warning' } } as const;
    const { consumer } = await plant.start({ limits });
    const stored: Array<() => void> = [];
    plant.append = () => new Promise((resolve) => stored.push(resolve));
    // One alert in eight readings: 64 events in a read of 256.
    const cycle = [80, ...calm(7)];
    plant.stream.add(...calm(40), ...Array.from({ length: 128 }, () => cycle).flat());
    await settle();
    expect(consumer.handledCount).toBeLessThanOrEqual(3 * 256);
    plant.append = async () => {};
    for (const one of stored) one();
    await until('all is handled', () => consumer.backlog() === 0);
    expect(plant.alerts.filter((id) => id.includes('hot'))).toHaveLength(256);
  });
});

describe('a stop', () => {
  it('does not checkpoint into a checkpoint that is being written', async () => {
    const { state } = newPlant();
    await plant.start();
    await plant.see(...calm(40));
    plant.logBytes = 1e9;
    const written: Array<() => void> = [];
    const write = state.write.bind(state);
    vi.spyOn(state, 'write').mockImplementation(async (changes) => {
      await new Promise<void>((resolve) => written.push(resolve));
      await write(changes);
    });
    vi.advanceTimersByTime(10_000);
    await plant.see(...calm(10));
    const stopped = plant.stop();
    await settle();
    expect(written).toHaveLength(1);
    written[0]?.();
    await settle();
    expect(written).toHaveLength(2);
    written[1]?.();
    await stopped;
    expect(state.stored.get(CURSOR)).toBe('50');
  });
});

describe('what fails', () => {
  it('a log that cannot be read: it is read again, and nothing is skipped', async () => {
    newPlant();
    const { consumer } = await plant.start();
    await plant.see(...calm(40));
    vi.spyOn(consumer, 'read').mockRejectedValueOnce(new Error('EIO'));
    await plant.see(80);
    // The read that was under way has taken it; the next one fails.
    expect(plant.logged).toContain('detection cannot read the log, trying again');
    expect(consumer.rewinds).toBe(1);
    plant.stream.add(20.1, 20.2);
    await expect.poll(() => consumer.handledCount, { timeout: 5_000 }).toBe(43);
    expect(kinds(plant.alerts)).toEqual(['begin', 'end']);
  });

  it('flash, for an alert: it is tried until it is stored, in order', async () => {
    newPlant();
    await plant.start();
    let failures = 1;
    plant.append = async () => {
      if (failures-- > 0) throw new Error('ENOSPC');
    };
    await plant.see(...calm(40), 80, 20, 20);
    expect([plant.alerts, plant.lineActive]).toEqual([[], false]);
    await expect.poll(() => kinds(plant.alerts), { timeout: 5_000 }).toEqual(['begin', 'end']);
  });

  it('flash, until the stop: no checkpoint passes the alert, which is raised again', async () => {
    const { state } = newPlant();
    await plant.start();
    await plant.see(...calm(40));
    plant.append = async () => {
      throw new Error('ENOSPC');
    };
    await plant.see(80, 20, 20, ...calm(10));
    await plant.stop();
    expect([state.stored.get(CURSOR), plant.alerts]).toEqual(['0', []]);
    plant.append = async () => {};
    plant.state.stored.set(CURSOR, '0');
    await plant.start();
    expect(kinds(plant.alerts)).toEqual(['begin', 'end']);
  });
});
