import { afterEach, describe, expect, it, vi } from 'vitest';
import { until } from '../support/until.ts';
import { CURSOR, calm, kinds, Plant, settle } from './plant.ts';

// Detection of readings that are not on flash yet: what it may tell at once, what must wait, and
// what becomes of it if they never reach the flash.

let plant: Plant;

function newPlant(): Plant {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  plant = new Plant();
  return plant;
}

async function checkpointIsDue(): Promise<void> {
  plant.logBytes += 1e9;
  vi.advanceTimersByTime(10_000);
  await settle();
}

afterEach(async () => {
  vi.useRealTimers();
  plant.append = async () => {};
  plant.stream.commit(1e9);
  await plant.stop();
});

describe('a reading that is not on flash', () => {
  it('drives the line at once; its alert is stored when the reading is', async () => {
    const { stream } = newPlant();
    const { counters } = await plant.start();
    stream.commit(40);
    await plant.see(...calm(40), 80);
    expect([plant.lineActive, counters.alerts, plant.alerts]).toEqual([true, 1, []]);
    expect(plant.logged).toEqual(['an alert has begun']);
    stream.commit(41);
    await settle();
    expect(kinds(plant.alerts)).toEqual(['begin']);
  });

  it('is in no checkpoint before it is', async () => {
    const { stream, state } = newPlant();
    await plant.start();
    await plant.see(...calm(10));
    stream.commit(10);
    await plant.see(...calm(5));
    await checkpointIsDue();
    expect(state.stored.get(CURSOR)).toBe('0');
    // The checkpoint is of the moment at which it began.
    await plant.see(20);
    stream.commit(15);
    await settle();
    expect(state.stored.get(CURSOR)).toBe('15');
  });

  it('ends an alert at once, and the end is stored after it', async () => {
    const { stream } = newPlant();
    await plant.start();
    await plant.see(...calm(40), 80);
    stream.commit(41);
    await plant.see(20, 20);
    expect([plant.lineActive, kinds(plant.alerts)]).toEqual([false, ['begin']]);
    stream.commit(43);
    await settle();
    expect(kinds(plant.alerts)).toEqual(['begin', 'end']);
  });

  it('raises the same alert again after a crash, if it is there', async () => {
    const { stream } = newPlant();
    await plant.start();
    stream.commit(40);
    await plant.see(...calm(40), 80);
    // The power goes after the commit and before anybody hears of it.
    stream.durable = 41;
    const { counters } = await plant.start();
    expect([counters.alerts, plant.lineActive]).toEqual([1, true]);
    expect(plant.alerts).toEqual(['begin:d1/temperature:a1b2:readings:0:40']);
  });
});

describe('readings that are withdrawn', () => {
  it('have raised nothing: the line goes back, and nothing is stored', async () => {
    const { stream, state } = newPlant();
    const { alerter, consumer } = await plant.start();
    stream.commit(40);
    await plant.see(...calm(40), 80, 80);
    await checkpointIsDue();
    stream.withdraw();
    await settle();
    expect([plant.lineActive, alerter.active, plant.alerts]).toEqual([false, 0, []]);
    expect(plant.logged).toEqual([
      'an alert has begun',
      'an alert is withdrawn: its reading could not be stored',
      'readings could not be stored: detection goes back to its checkpoint',
    ]);
    expect([consumer.handledCount, state.stored.get(CURSOR)]).toEqual([40, '0']);
  });

  it('leave their offsets to others, whose alerts are their own', async () => {
    const { stream } = newPlant();
    const { counters } = await plant.start();
    stream.commit(40);
    await plant.see(...calm(40), 80, 80);
    stream.withdraw();
    await settle();
    stream.commit(1e9);
    await plant.see(20);
    expect([plant.lineActive, plant.alerts]).toEqual([false, []]);
    await plant.see(90);
    expect(plant.alerts).toEqual(['begin:d1/temperature:a1b2:readings:0:41']);
    expect(counters.alerts).toBe(2);
  });

  it('end no alert: it is active again, and ends by others', async () => {
    const { stream } = newPlant();
    const { alerter } = await plant.start();
    stream.commit(41);
    await plant.see(...calm(40), 80, 20, 20);
    expect(plant.lineActive).toBe(false);
    stream.withdraw();
    await settle();
    expect([plant.lineActive, alerter.active, kinds(plant.alerts)]).toEqual([true, 1, ['begin']]);
    stream.commit(1e9);
    await plant.see(20, 20);
    expect([plant.lineActive, kinds(plant.alerts)]).toEqual([false, ['begin', 'end']]);
  });

  it('end and begin nothing, in whatever order they did', async () => {
    const { stream } = newPlant();
    await plant.start();
    stream.commit(41);
    await plant.see(...calm(40), 80, 20, 20, 80, 20, 20, 80);
    stream.withdraw();
    await settle();
    expect([plant.lineActive, kinds(plant.alerts)]).toEqual([true, ['begin']]);
    expect(plant.alerts[0]).toMatch(/:40$/);
  });

  it('leave the alert of another reading on its way, which is stored once', async () => {
    const { stream } = newPlant();
    const { counters } = await plant.start();
    let stored = () => {};
    plant.append = () => new Promise((resolve) => (stored = resolve));
    stream.commit(41);
    await plant.see(...calm(40), 80, 20, 20);
    stream.withdraw();
    await settle();
    expect([plant.lineActive, counters.alerts, plant.alerts]).toEqual([true, 1, []]);
    plant.append = async () => {};
    stored();
    await settle();
    expect([plant.lineActive, kinds(plant.alerts)]).toEqual([true, ['begin']]);
  });

  it('are in no state: it ends as if they had never come', async () => {
    const { stream, state } = newPlant();
    await plant.start();
    stream.commit(20);
    await plant.see(...calm(20), 500, 600, -700);
    stream.withdraw();
    await settle();
    stream.commit(1e9);
    await plant.see(...calm(7));
    await plant.stop();
    const withdrawn = [...state.bytes.values()].map(String);
    plant = new Plant();
    await plant.start();
    await plant.see(...calm(20), ...calm(7));
    await plant.stop();
    expect([...plant.state.bytes.values()].map(String)).toEqual(withdrawn);
  });

  it('keep detection waiting while its checkpoint cannot be read', async () => {
    const { stream, state } = newPlant();
    await plant.start();
    stream.commit(40);
    await plant.see(...calm(40), 80);
    vi.spyOn(state, 'entries').mockRejectedValueOnce(new Error('EIO'));
    stream.withdraw();
    await settle();
    // The siren does not wait for it.
    expect(plant.lineActive).toBe(false);
    stream.commit(1e9);
    stream.add(90);
    await until('it goes on', () => plant.alerts.length === 1);
    expect(plant.alerts).toEqual(['begin:d1/temperature:a1b2:readings:0:40']);
  });

  it('leave nothing in the next checkpoint of one that was under way', async () => {
    const { stream, state } = newPlant();
    await plant.start();
    stream.commit(40);
    await plant.see(...calm(40), 80);
    await checkpointIsDue();
    stream.withdraw();
    await settle();
    stream.commit(1e9);
    await plant.see(20);
    await plant.stop();
    expect(state.stored.get(CURSOR)).toBe('41');
    expect([...state.stored.keys()].filter((key) => key.includes('/alert/'))).toEqual([]);
  });

  it('are no checkpoint at a stop', async () => {
    const { stream, state } = newPlant();
    await plant.start();
    stream.commit(10);
    await plant.see(...calm(12));
    const stopped = plant.stop();
    await settle();
    expect(stream.isHurried).toBe(true);
    stream.withdraw();
    await stopped;
    expect(state.stored.get(CURSOR)).toBe('0');
  });
});

describe('series that are not in use', () => {
  const devices = ['d1', 'd2', 'd3', 'd4'];
  const feed = (value: (i: number, d: number) => number, count: number) => {
    for (let i = 0; i < count; i++) {
      for (const [d, device] of devices.entries()) plant.stream.addOf(device, value(i, d));
    }
  };

  it('are read back from the checkpoint, and know what they have learnt', async () => {
    const { stream, state } = newPlant();
    const { detector } = await plant.start({ hotSeries: 1 });
    feed((i, d) => 100 * d + (i % 10) / 10, 40);
    await settle();
    await checkpointIsDue();
    expect(detector.inMemory).toEqual({ hot: 1, packed: 0, packedBytes: 0 });
    const read = vi.spyOn(state, 'getBytes');
    stream.addOf('d2', 100);
    stream.addOf('d3', 900);
    await settle();
    expect(read).toHaveBeenCalledTimes(1);
    expect(plant.alerts).toEqual(['begin:d3/temperature:a1b2:readings:0:161']);
    expect(detector.inMemory).toMatchObject({ hot: 1, packed: 1 });
  });

  it('hold records up, in their order, while they cannot be read', async () => {
    const { stream, state } = newPlant();
    const { consumer } = await plant.start({ hotSeries: 2 });
    feed((i) => (i % 10) / 10, 40);
    await settle();
    await checkpointIsDue();
    vi.spyOn(state, 'getBytes').mockRejectedValueOnce(new Error('EIO'));
    for (const device of ['d4', 'd1', 'd4']) stream.addOf(device, 900);
    await settle();
    expect([consumer.handledCount, plant.alerts]).toEqual([160, []]);
    expect(plant.logged).toEqual(['detection cannot read what it has learnt, trying again']);
    // No moment for a checkpoint.
    await checkpointIsDue();
    expect(state.stored.get(CURSOR)).toBe('160');
    await until('it goes on', () => plant.alerts.length === 2);
    expect(plant.alerts.map((id) => id.slice(0, 9))).toEqual(['begin:d4/', 'begin:d1/']);
  });

  /** d4 alone is in use, what a look at another one finds is held up. */
  async function heldUp() {
    const { stream, state } = newPlant();
    const parts = await plant.start({ hotSeries: 1 });
    feed((i) => (i % 10) / 10, 40);
    await settle();
    await checkpointIsDue();
    stream.commit(161);
    stream.addOf('d4', 0);
    await settle();
    let goOn = () => {};
    const read = state.getBytes.bind(state);
    vi.spyOn(state, 'getBytes').mockImplementationOnce(async (keys) => {
      await new Promise<void>((resolve) => (goOn = resolve));
      return read(keys);
    });
    stream.addOf('d1', 900);
    await settle();
    return { ...parts, goOn: () => goOn() };
  }

  it('raise nothing if the readings are withdrawn while they are read back', async () => {
    const { goOn, consumer } = await heldUp();
    plant.stream.withdraw();
    goOn();
    await settle();
    expect(consumer.handledCount).toBe(161);
    expect(plant.logged).toEqual([
      'readings could not be stored: detection goes back to its checkpoint',
    ]);
  });

  it('leave no moment for a checkpoint while they are read back', async () => {
    const { goOn, detector } = await heldUp();
    const snapshot = vi.spyOn(detector, 'snapshot');
    plant.stream.commit(1e9);
    await checkpointIsDue();
    expect(snapshot).not.toHaveBeenCalled();
    goOn();
    await settle();
    expect(snapshot).toHaveBeenCalled();
    expect(plant.state.stored.get(CURSOR)).toBe('162');
  });

  it('end in the same state after a crash at any time, as if all had been in use', async () => {
    const values = (i: number, d: number) => (i % (d + 3)) + (i === 30 + d ? 500 : 0);
    const run = async (hotSeries: number, crashes: readonly number[]) => {
      newPlant();
      await plant.start({ hotSeries });
      for (let i = 0; i < 60; i++) {
        feed((_, d) => values(i, d), 1);
        await settle();
        if (i % 7 === 3) await checkpointIsDue();
        if (crashes.includes(i)) await plant.start({ hotSeries });
      }
      await plant.stop();
      const { state, alerts } = plant;
      const index = [...state.stored].filter(([key]) => !/index|silence/.test(key));
      return { states: [...state.bytes.values()].map(String).sort(), index, alerts };
    };
    const straight = await run(10, []);
    expect(straight.alerts.length).toBeGreaterThan(4);
    expect(await run(1, [])).toEqual(straight);
    expect(await run(1, [2, 12, 31, 33, 50])).toEqual(straight);
    expect(await run(2, [3, 4, 5, 32, 59])).toEqual(straight);
  });
});
