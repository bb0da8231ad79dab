import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import { cleanUp, temporaryFolder } from '../support/gateway-process.ts';
import { append, openTestJournal, readAll, reading, textOf } from '../support/journals.ts';
import { until } from '../support/until.ts';

afterEach(cleanUp);

const HOUR_MS = 3_600_000;

it('retention that takes longer than the linger keeps no batch from its commit', async () => {
  const files = new FaultyFiles();
  let aheadMs = 0;
  const clock = { ...systemClock, monoMs: () => systemClock.monoMs() + aheadMs };
  const retention = { maxBytes: 1024 * 1024, maxAgeMs: HOUR_MS };
  const options = { folder: temporaryFolder(), clock, lingerMs: 20, retention };
  const journal = await openTestJournal(files, options);
  const now = () => ({ monoMs: clock.monoMs() });
  // Each takes more than half a segment, so that there is a sealed one to drop.
  for (const name of ['old-1', 'old-2', 'old-3']) {
    const noise = Array.from({ length: 6_000 }, (_, i) => (i * 7919) % 99_991).join(name);
    await append(journal, 0, reading('a', noise.slice(0, 30_000), now()));
  }
  const before = journal.segments().length;
  expect(before).toBeGreaterThan(1);
  aheadMs = 2 * HOUR_MS;
  await append(journal, 0, reading('a', 'fresh', now()));

  const release = files.hold('remove');
  const lateMs = clock.monoMs() + 20;
  const stored = append(journal, 0, reading('a', 'waiting', now()));
  const retained = journal.retain();
  await until('a removal is under way', () => files.held === 1);
  await until('the linger is over', () => clock.monoMs() > lateMs + 50);
  release();
  await retained;
  let isStored = false;
  void stored.then(() => {
    isStored = true;
  });
  await until('it is committed', () => isStored, 2_000);
  expect(journal.segments().length).toBeLessThan(before);
  expect((await readAll(files, journal)).map(textOf).at(-1)).toBe('waiting');
  await journal.close();
});
