import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import type { LogRecord } from '../../../src/base/reading.ts';
import { checkpointKey } from '../../../src/log/checkpoint.ts';
import { JournalEarlyConsumer } from '../../../src/log/early-consumer.ts';
import type { Journal } from '../../../src/log/journal.ts';
import type { JournalOptions } from '../../../src/log/journal-options.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { FaultyFiles } from '../../support/faulty-files.ts';
import { append, openTestJournal, readAll, reading, textOf } from '../../support/journals.ts';
import { until } from '../../support/until.ts';

const never = new AbortController().signal;
let journal: Journal;
let files: FaultyFiles;

async function setUp(more: Partial<JournalOptions> = {}) {
  files = new FaultyFiles(new FakeFiles());
  journal = await openTestJournal(files, more);
  return open();
}

function open(stored?: string): JournalEarlyConsumer {
  const options = { name: 'c', stream: 'readings', journal, files, stored };
  return new JournalEarlyConsumer({ ...options, start: 'earliest' });
}

afterEach(async () => {
  files.mend();
  await journal.close();
});

/** Not waited for: it may never be durable. */
function send(text: string, partition = 0): Promise<number> {
  const sent = append(journal, partition, reading('a', text));
  sent.catch(() => {});
  return sent;
}

async function take(consumer: JournalEarlyConsumer, most = 100): Promise<LogRecord[]> {
  const records = [...(await consumer.read(most, never))];
  for (const record of records) consumer.handled(record);
  return records;
}

const placed = (records: readonly LogRecord[]) =>
  records.map((r) => `${r.partition}:${r.offset} ${textOf(r)}`);

describe('a consumer that reads early', () => {
  it('has a record before its sync, as readers have it after', async () => {
    const consumer = await setUp();
    const release = files.hold('sync');
    const sent = [send('1'), send('2', 1), send('3')];
    const records = await take(consumer);
    expect(placed(records)).toEqual(['0:0 1', '1:0 2', '0:1 3']);
    expect(journal.status().commits).toBe(0);
    const durable = consumer.handledIsDurable();
    release();
    expect([await Promise.all(sent), await durable]).toEqual([[0, 0, 1], true]);
    // Without what only memory has: the value that ingest has parsed.
    const stored = await readAll(files, journal);
    expect(records.map(({ value: _, ...record }) => record)).toEqual(
      stored.map(({ value: _, ...record }) => record),
    );
  });

  it('has each record once: of a batch that grows, that is written, and of the next', async () => {
    const consumer = await setUp({ lingerMs: 60_000 });
    const release = files.hold('sync');
    const seen: LogRecord[] = [];
    for (let i = 0; i < 6; i++) {
      void send(`${i} ${'x'.repeat(20_000)}`);
      if (i % 2 === 0) seen.push(...(await take(consumer, 1)));
    }
    await until('a sync waits', () => files.held === 1);
    while (seen.length < 4) seen.push(...(await take(consumer, 1)));
    release();
    await journal.close();
    while (seen.length < 6) seen.push(...(await take(consumer)));
    expect(seen.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('falls back to the files when it lags, and catches up with what is pending', async () => {
    const consumer = await setUp({ segmentBytes: 1024 * 1024, maxPendingBytes: 64 * 1024 * 1024 });
    expect(await take(consumer, (await send('first')) + 1)).toHaveLength(1);
    const large = 'x'.repeat(60_000);
    for (let i = 0; i < 40; i++) await send(large);
    const release = files.hold('sync');
    void send('pending');
    const seen: number[] = [];
    while (seen.at(-1) !== 41) seen.push(...(await take(consumer)).map(({ offset }) => offset));
    expect(seen).toEqual(Array.from({ length: 41 }, (_, i) => i + 1));
    release();
  });

  it.each([1, 2, 3, 4, 5])('has each record once, whatever comes when, seed %i', async (seed) => {
    const random = seededRandom(seed);
    const consumer = await setUp({ segmentBytes: 256 * 1024 });
    const seen: string[] = [];
    const sent: Array<Promise<number>> = [];
    const reading = (async () => {
      while (seen.length < 400) {
        seen.push(...placed(await take(consumer, 1 + Math.floor(random() * 9))));
        if (random() < 0.1) consumer.rewind();
        if (random() < 0.3) await turn();
      }
    })();
    for (let i = 0; i < 400; i++) {
      sent.push(send(`${i} ${'x'.repeat(random() < 0.05 ? 90_000 : 10)}`, i % 2));
      if (random() < 0.5) await turn();
      if (random() < 0.2) await Promise.all(sent);
    }
    await reading;
    await Promise.all(sent);
    const stored = placed(await readAll(files, journal));
    expect(seen).toEqual(stored);
  });
});

it('a consumer in a hurry waits for no linger, of now or later', async () => {
  const consumer = await setUp({ lingerMs: 3_600_000 });
  const release = files.hold('sync');
  const first = send('1');
  await take(consumer);
  consumer.hurry();
  await until('a sync waits', () => files.held === 1);
  const second = send('2');
  await take(consumer);
  release();
  expect(await Promise.all([first, second, consumer.handledIsDurable()])).toEqual([0, 1, true]);
});

describe('a commit that fails for good', () => {
  async function failing() {
    const consumer = await setUp();
    await send('kept');
    await take(consumer);
    const stored = consumer.checkpoint().get(checkpointKey('c', 'readings'));
    const release = files.hold('sync');
    const lost = [send('lost'), send('lost too')];
    const records = await take(consumer);
    files.break({ operations: ['write', 'sync', 'open'], code: 'EIO' });
    return { consumer, stored, release, lost, records };
  }

  it('withdraws what was given out, until it goes back', async () => {
    const { consumer, stored, release, lost, records } = await failing();
    const [first] = records;
    if (first === undefined) throw new Error('nothing was given out');
    const durable = [consumer.isDurable(first), consumer.handledIsDurable()];
    expect(consumer.isWithdrawn).toBe(false);
    release();
    expect(await Promise.all(durable)).toEqual([false, false]);
    for (const one of lost) await expect(one).rejects.toThrow();
    expect(consumer.isWithdrawn).toBe(true);
    expect(await consumer.read(10, never)).toEqual([]);
    files.mend();
    await until('the log takes data', () => journal.status().state === 'durable');
    // Others have the offsets now, and it counts for nothing.
    await Promise.all([send('new'), send('newer')]);
    expect(await consumer.handledIsDurable()).toBe(false);
    consumer.rewind();
    expect(await consumer.read(10, never)).toEqual([]);
    consumer.goBack(stored);
    expect(placed(await take(consumer))).toEqual(['0:1 new', '0:2 newer']);
    expect(await consumer.handledIsDurable()).toBe(true);
  });

  it('is nothing to a consumer that had not read so far', async () => {
    const consumer = await setUp();
    await send('kept');
    await take(consumer);
    files.break({ operations: ['write', 'sync', 'open'], code: 'EIO' });
    const lost = send('lost');
    await expect(lost).rejects.toThrow();
    files.mend();
    await until('the log takes data', () => journal.status().state === 'durable');
    await send('new');
    expect(consumer.isWithdrawn).toBe(false);
    expect(placed(await take(consumer))).toEqual(['0:1 new']);
  });

  it('takes a consumer with it that was rewound to what is not durable', async () => {
    const { consumer, release } = await failing();
    consumer.rewind();
    release();
    await until('it is withdrawn', () => consumer.isWithdrawn);
    consumer.goBack(undefined);
    expect(placed(await take(consumer))).toEqual(['0:0 kept']);
  });
});
