import { expect, it } from 'vitest';
import { alertMessage } from '../../src/alert/alert-message.ts';
import { AlertStore } from '../../src/alert-store.ts';
import { systemClock } from '../../src/base/clock.ts';
import { Dedup } from '../../src/dedup/dedup.ts';
import type { Journal } from '../../src/log/journal.ts';
import { ALERTS } from '../../src/stores.ts';
import { FakeFiles } from '../support/fake-files.ts';
import { openTestJournal, readAll } from '../support/journals.ts';
import { alertAt } from './alert/verdicts.ts';

const MAX_IDS = 32;

function storeOf(events: Journal): AlertStore {
  const windows = { windowMs: Number.MAX_SAFE_INTEGER, windowIds: MAX_IDS };
  const dedup = new Dedup({ mode: 'id', ...windows, maxIds: MAX_IDS, maxDevices: 4 });
  return new AlertStore({ events, dedup, clock: systemClock });
}

const alertOf = (device: string, second: number) => alertMessage(alertAt(second, { device })[0]);

it('a look forgets nothing, so that a replay stores nothing twice', async () => {
  const files = new FakeFiles();
  const streams = [{ name: ALERTS, partitions: 1 }];
  const events = await openTestJournal(files, { streams });
  const store = storeOf(events);
  // As many as dedup has room for, of as many devices as it remembers.
  const alerts = Array.from({ length: MAX_IDS }, (_, i) => alertOf(`d${i % 4}`, i));
  for (const alert of alerts) expect(await store.append(alert)).toBe(true);
  for (let i = 0; i < 100; i++) {
    expect(store.has(alertOf(`unknown-${i}`, 1_000 + i))).toBe(false);
    expect(store.has(alertOf(`d${i % 4}`, 1_000 + i))).toBe(false);
  }
  expect(alerts.map((alert) => store.has(alert))).not.toContain(false);
  for (const alert of alerts) expect(await store.append(alert)).toBe(false);
  expect(await readAll(files, events, ALERTS)).toHaveLength(MAX_IDS);
  await events.close();
});

it('has what is on flash, and not what is on its way', async () => {
  const events = await openTestJournal(new FakeFiles(), {
    streams: [{ name: ALERTS, partitions: 1 }],
  });
  const store = storeOf(events);
  const alert = alertOf('d', 1);
  const appended = store.append(alert);
  expect(store.has(alert)).toBe(false);
  await appended;
  expect(store.has(alert)).toBe(true);
  await events.close();
});
