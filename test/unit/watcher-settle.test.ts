import { afterEach, describe, expect, it, vi } from 'vitest';
import { alertMessage } from '../../src/alert/alert-message.ts';
import { until } from '../support/until.ts';
import { alertAt } from './alert/verdicts.ts';
import { CURSOR, calm, INDEX, kinds, Plant, settle } from './plant.ts';

// Alerts by the stream and alerts by the state of detection: what happens when they differ.

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

describe('detection that was off for one start', () => {
  /** An alert lasts; then nobody watches, while these values come. */
  async function unwatched(...values: number[]) {
    newPlant();
    await plant.start();
    await plant.see(...calm(40), 80, 80);
    await plant.stop();
    await plant.startUnwatched();
    expect(kinds(plant.alerts)).toEqual(['begin', 'end']);
    plant.stream.add(...values);
    return plant.start();
  }

  it('raises a new alert if the value is still out of bounds, which ends once', async () => {
    const { counters, alerter } = await unwatched(80);
    await plant.see(80, 80);
    expect([plant.lineActive, alerter.active, counters.alerts]).toEqual([true, 1, 1]);
    await plant.see(20, 20);
    expect(plant.lineActive).toBe(false);
    expect(kinds(plant.alerts)).toEqual(['begin', 'end', 'begin', 'end']);
    expect(new Set(plant.alerts).size).toBe(4);
  });

  it('tells of no second end if the value was calm meanwhile', async () => {
    const { counters } = await unwatched(20, 20, 20);
    expect([plant.lineActive, counters.alerts]).toEqual([false, 0]);
    expect(kinds(plant.alerts)).toEqual(['begin', 'end']);
    await plant.see(80);
    expect(kinds(plant.alerts)).toEqual(['begin', 'end', 'begin']);
  });

  it('keeps the new alert over a crash', async () => {
    await unwatched();
    await plant.see(80, 80);
    // No checkpoint was due since: what came is read again.
    const { alerter, counters } = await plant.start();
    expect([plant.lineActive, alerter.active, counters.alerts]).toEqual([true, 1, 0]);
    expect(kinds(plant.alerts)).toEqual(['begin', 'end', 'begin']);
  });
});

describe('a series that lost its place', () => {
  it('has no alert any more: it ends, and stays ended', async () => {
    const { state } = newPlant();
    await plant.start();
    for (const value of calm(40)) {
      plant.stream.addOf('d0', value);
      plant.stream.addOf('d1', value);
    }
    plant.stream.addOf('d1', 80);
    await settle();
    expect(plant.lineActive).toBe(true);
    await plant.stop();
    const { alerter } = await plant.start({ maxSeries: 1 });
    expect([alerter.active, plant.lineActive]).toEqual([0, false]);
    expect(kinds(plant.alerts)).toEqual(['begin', 'end']);
    expect(state.stored.get(INDEX)).not.toContain('d1');
    expect(state.bytes.size).toBe(1);
    plant.stream.addOf('d0', 80);
    await settle();
    expect(kinds(plant.alerts)).toEqual(['begin', 'end', 'begin']);
  });

  it('has none either if an earlier version left its state behind', async () => {
    const { state } = newPlant();
    await plant.start();
    await plant.see(...calm(40), 80);
    await plant.stop();
    state.stored.delete(INDEX);
    await plant.start();
    expect([plant.lineActive, kinds(plant.alerts)]).toEqual([false, ['begin', 'end']]);
  });
});

describe('settings that changed after a crash', () => {
  it('leave no beginning without its end', async () => {
    newPlant();
    await plant.start({ limits: { warm: { max: 23, severity: 'warning' } } });
    // Little begins the alert; the next settings ask for more.
    await plant.see(...calm(40), 24, 24, 25);
    expect(kinds(plant.alerts)).toEqual(['begin']);
    const { alerter } = await plant.start({ limits: { warm: { max: 24.5, severity: 'warning' } } });
    expect(alerter.active).toBe(1);
    await plant.see(20, 20, 20);
    expect([plant.lineActive, kinds(plant.alerts)]).toEqual([
      false,
      ['begin', 'end', 'begin', 'end'],
    ]);
  });
});

describe('a replay whose last records are lost', () => {
  it('comes to its end without another reading', async () => {
    const { state, stream } = newPlant();
    await plant.start();
    await plant.see(...calm(40), 80);
    state.stored.clear();
    state.stored.set(CURSOR, '41');
    stream.lost = 4;
    const { alerter } = await plant.start();
    expect(alerter.active).toBe(1);
    await until('the alert of the lost state has ended', () => !plant.lineActive);
    expect(kinds(plant.alerts)).toEqual(['begin', 'end']);
  });

  it('is no reason to wait at a stop', async () => {
    const { state, stream } = newPlant();
    stream.lost = 4;
    state.stored.set(CURSOR, '0');
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
    await plant.start();
    await plant.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});

it('ends no alert of another stream', async () => {
  newPlant();
  const [begin] = alertAt(1, { cause: { stream: 'other', partition: 0, offset: 1 } });
  plant.messages.push(alertMessage(begin));
  const { alerter } = await plant.start();
  expect([alerter.active, plant.lineActive, plant.alerts]).toEqual([1, true, []]);
});
