import { describe, expect, it, vi } from 'vitest';
import { seededRandom, systemClock } from '../../../src/base/clock.ts';
import type { LogRecord } from '../../../src/base/reading.ts';
import { checkpointKey } from '../../../src/log/checkpoint.ts';
import { segmentFileName } from '../../../src/log/format.ts';
import { StreamConsumer } from '../../../src/log/stream-consumer.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { append, FOLDER, openTestJournal, reading, textOf } from '../../support/journals.ts';

const never = new AbortController().signal;

async function setUp(stored?: string, start: 'earliest' | 'latest' = 'earliest') {
  const files = new FakeFiles();
  const journal = await openTestJournal(files);
  const open = (text = stored) =>
    new StreamConsumer({ name: 'c', stream: 'readings', journal, files, stored: text, start });
  return { files, journal, open };
}

describe('a consumer', () => {
  it('reads on, waits at the end, and wakes with the next commit', async () => {
    const { journal, open } = await setUp();
    const consumer = open();
    await append(journal, 0, reading('a', '1'));
    expect((await consumer.read(10, never)).map(textOf)).toEqual(['1']);
    const waiting = consumer.read(10, never);
    await append(journal, 1, reading('b', '2'));
    expect((await waiting).map(textOf)).toEqual(['2']);
    await consumer.close();
    await journal.close();
  });

  it('gives nothing once its signal has aborted', async () => {
    const { journal, open } = await setUp();
    const consumer = open();
    const abort = new AbortController();
    const waiting = consumer.read(10, abort.signal);
    abort.abort();
    expect(await waiting).toEqual([]);
    expect(await consumer.read(10, abort.signal)).toEqual([]);
    await journal.close();
  });

  it('goes on from its checkpoint, and after a rewind from what is not handled', async () => {
    const { journal, open } = await setUp();
    for (let i = 0; i < 10; i++) await append(journal, i % 2, reading('a', String(i)));
    const first = open();
    const records = await first.read(4, never);
    expect(first.backlog()).toBe(10);
    for (const record of records) first.handled(record);
    expect(first.backlog()).toBe(9);
    first.rewind();
    expect((await first.read(1, never)).map(textOf)).toEqual(['1']);
    const second = open(first.checkpoint().get(checkpointKey('c', 'readings')));
    const rest: string[] = [];
    while (rest.length < 9) rest.push(...(await second.read(3, never)).map(textOf));
    expect(rest).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9']);
    await journal.close();
  });

  it('takes no checkpoint of another log, and none beyond the end', async () => {
    const { journal, open } = await setUp();
    await append(journal, 0, reading('a', 'x'));
    const other = JSON.stringify({ log: 'ffffffff', offsets: [1, 0] });
    expect(open(other).backlog()).toBe(1);
    const beyond = JSON.stringify({ log: journal.logId, offsets: [99, 99] });
    const consumer = open(beyond);
    expect(consumer.backlog()).toBe(0);
    const waiting = consumer.read(1, never);
    await append(journal, 0, reading('a', 'y'));
    expect((await waiting).map(textOf)).toEqual(['y']);
    await journal.close();
  });

  it('starts at the end if it is told so', async () => {
    const { journal, open } = await setUp(undefined, 'latest');
    await append(journal, 0, reading('a', 'old'));
    const consumer = open();
    const waiting = consumer.read(1, never);
    await append(journal, 0, reading('a', 'new'));
    expect((await waiting).map(textOf)).toEqual(['new']);
    await journal.close();
  });

  it('takes from memory what the files would give', async () => {
    const { journal, open } = await setUp();
    const [live, late] = [open(), open()];
    const waiting = live.read(10, never);
    const about = {
      messageId: { kind: 'sequence', text: 'b:7', boot: 'b', sequence: 7 },
      deviceTimeMs: 1_795_528_656_303,
      reason: 'PAYLOAD_EMPTY',
      value: { value: 21.5 },
    } as const;
    const monoMs = systemClock.monoMs();
    const appended = [
      append(journal, 1, reading('dévice', '{"value":21.5}', { ...about, monoMs })),
      append(journal, 0, reading('a', '', { monoMs: monoMs + 2.75 })),
      append(journal, 1, reading('b', '{"value":3}', { monoMs: monoMs - 1 })),
    ];
    await Promise.all(appended);
    const fromMemory = await waiting;
    expect(fromMemory.map(({ value }) => value)).toEqual([{ value: 21.5 }, undefined, undefined]);
    const fromFiles = await late.read(10, never);
    expect(fromFiles).toHaveLength(3);
    const bare = (records: readonly LogRecord[]) =>
      records.map(({ value, payload, ...rest }) => ({ ...rest, payload: [...payload] }));
    expect(bare(fromMemory)).toEqual(bare(fromFiles));
    await journal.close();
  });

  it.each([
    ['bytes', 'x'.repeat(20_000), Math.floor((1024 * 1024) / 20_000)],
    ['records', 'x', 8_192],
  ])('keeps a bounded number of %s in memory when nobody reads', async (_, text, most) => {
    const { files, journal, open } = await setUp();
    const consumer = open();
    const waiting = consumer.read(1, never);
    await append(journal, 0, reading('a', 'first'));
    await waiting;
    const opened = vi.spyOn(files, 'open');
    let next = 1;
    for (const [count, isFromFiles] of [
      [most, false],
      [most + 1, true],
    ] as const) {
      const end = next + count;
      for (let at = next; at < end; at += 20) {
        const some = Array.from({ length: Math.min(20, end - at) }, () => reading('a', text));
        await Promise.all(some.map((one) => append(journal, 0, one)));
      }
      opened.mockClear();
      while (next < end) {
        for (const { offset } of await consumer.read(100, never)) expect(offset).toBe(next++);
      }
      expect(opened.mock.calls.some(([, mode]) => mode === 'read')).toBe(isFromFiles);
    }
    await consumer.close();
    await journal.close();
  });

  it('that is rewound while it reads reads again, without another commit', async () => {
    const { files, journal, open } = await setUp();
    for (const text of ['1', '2']) await append(journal, 0, reading('a', text));
    const consumer = open();
    let come = () => {};
    const slow = new Promise<void>((resolve) => (come = resolve));
    const openFile = files.open.bind(files);
    vi.spyOn(files, 'open').mockImplementationOnce(async (...given) => {
      await slow;
      return openFile(...given);
    });
    const reads = consumer.read(10, never);
    consumer.rewind();
    come();
    expect((await reads).map(textOf)).toEqual(['1']);
    await consumer.close();
    await journal.close();
  });

  it('steps over what retention removes under it', async () => {
    const { files, journal, open } = await setUp();
    const big = 'x'.repeat(3_000);
    await append(journal, 0, reading('a', `0 ${big}`));
    const consumer = open();
    expect(await consumer.read(1, never)).toHaveLength(1);
    for (let i = 1; i < 60; i++) await append(journal, 0, reading('a', `${i} ${big}`));
    for (const info of journal.segments().slice(0, 2)) await files.remove(info.path);
    consumer.rewind();
    const [record] = await consumer.read(1, never);
    expect(record?.offset).toBeGreaterThan(0);
    await journal.close();
  });

  it('is done with a partition whose last records are lost', async () => {
    const { files, journal: first } = await setUp();
    for (const text of ['r0', 'r1', 'r2']) await append(first, 0, reading('a', text));
    await append(first, 1, reading('b', 's0'));
    await first.close();
    // Sealed by the segment that a new stream needs, and only then damaged.
    const streams = [
      { name: 'readings', partitions: 2 },
      { name: 'other', partitions: 1 },
    ];
    const journal = await openTestJournal(files, { streams });
    const bytes = files.bytes(`${FOLDER}/${segmentFileName(1)}`);
    for (const text of ['r1', 'r2']) {
      const at = Buffer.from(bytes).indexOf(text);
      bytes[at] = 0;
    }
    const consumer = new StreamConsumer({
      name: 'c',
      stream: 'readings',
      journal,
      files,
      stored: undefined,
      start: 'earliest',
    });
    const records = [...(await consumer.read(1, never)), ...(await consumer.read(1, never))];
    expect(records.map(textOf)).toEqual(['r0', 's0']);
    const abort = new AbortController();
    const waiting = consumer.read(1, abort.signal);
    await new Promise((resolve) => setImmediate(resolve));
    expect(consumer.backlog()).toBe(4);
    for (const record of records) consumer.handled(record);
    expect(consumer.backlog()).toBe(0);
    const lost = journal.status().lost.map(({ offset, count }) => `${offset}+${count}`);
    expect(lost).toEqual(['1+1', '2+1']);
    // Nothing is left to look for in the files.
    const read = vi.spyOn(files, 'open');
    await append(journal, 0, reading('a', 'r3'));
    expect((await waiting).map(textOf)).toEqual(['r3']);
    expect(read).not.toHaveBeenCalled();
    await journal.close();
  });

  it('misses nothing while commits, segments and restarts go by', async () => {
    const seed = 7;
    const random = seededRandom(seed);
    const { journal, open } = await setUp();
    const got: number[] = [];
    let consumer = open();
    let writing = true;
    const writer = (async () => {
      for (let i = 0; i < 400; i++) {
        await append(journal, 0, reading('a', `${i} ${'x'.repeat(Math.floor(random() * 2_000))}`));
      }
      writing = false;
    })();
    while (writing || got.length < 400) {
      for (const record of await consumer.read(1 + Math.floor(random() * 20), never)) {
        got.push(record.offset);
        consumer.handled(record);
      }
      if (random() < 0.1) consumer.rewind();
      if (random() < 0.05) {
        const stored = consumer.checkpoint().get(checkpointKey('c', 'readings'));
        await consumer.close();
        consumer = open(stored);
      }
      if (got.length >= 400) break;
    }
    await writer;
    expect(got).toEqual(Array.from({ length: 400 }, (_, i) => i));
    await journal.close();
  });
});
