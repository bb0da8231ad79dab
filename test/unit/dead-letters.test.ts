import { setTimeout as wait } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Ack } from '../../src/append-once.ts';
import { Books } from '../../src/audit/books.ts';
import { systemClock } from '../../src/base/clock.ts';
import { type Counters, newCounters } from '../../src/base/counters.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { DeadLetters } from '../../src/dead-letters.ts';
import { Dedup, type DedupMode } from '../../src/dedup/dedup.ts';
import { TopicMap } from '../../src/ingest/topic-map.ts';
import type { Journal } from '../../src/log/journal.ts';
import type { RedriveRow } from '../../src/ops/dead-letter-routes.ts';
import { Pipeline } from '../../src/pipeline.ts';
import { readLast } from '../../src/refill.ts';
import { FakeFiles } from '../support/fake-files.ts';
import { openTestJournal, readAll, textOf } from '../support/journals.ts';
import { type MemoryState, memoryState } from '../support/memory-state.ts';
import { autoRules } from '../support/reading-rules.ts';
import { until } from '../support/until.ts';

const PATTERN = { stream: 'readings', partitions: 2, pattern: 'sensors/<device>/#' };
const WINDOW = { windowMs: 1e9, windowIds: 1_000, maxIds: 1_000, maxDevices: 100 };

/** A life of the daemon: what is not in the log or in the state is new in each. */
interface Life {
  readonly pipeline: Pipeline;
  readonly letters: DeadLetters;
  readonly counters: Counters;
}

interface LifeOptions {
  readonly maxPayloadBytes?: number;
  readonly mode?: DedupMode;
  readonly ack?: Ack;
  readonly pattern?: string;
  readonly bootFrom?: string;
}

let files: FakeFiles;
let readings: Journal;
let events: Journal;
let state: MemoryState;

beforeEach(async () => {
  files = new FakeFiles();
  state = memoryState();
  readings = await openTestJournal(files);
  const streams = [{ name: 'dead-letter', partitions: 1 }];
  events = await openTestJournal(files, { folder: '/data/log/events', streams });
});

async function live(options: LifeOptions = {}): Promise<Life> {
  const { maxPayloadBytes = 100, mode = 'auto', ack = 'durable' } = options;
  const { pattern = PATTERN.pattern, bootFrom } = options;
  const dedup = new Dedup({ mode, ...WINDOW });
  const source = { files, journal: readings, stream: 'readings' };
  await readLast(source, 1_000, (record) => dedup.remember(record));
  const counters = newCounters();
  const logger = silentLogger;
  const stream = readings.stream('readings');
  const target = {
    journal: readings,
    stream,
    dedup,
    ack,
    rules: autoRules(maxPayloadBytes, bootFrom),
  };
  const pipeline = new Pipeline({
    topics: new TopicMap([{ ...PATTERN, pattern }]),
    streams: new Map([['readings', target]]),
    events,
    deadLetters: events.stream('dead-letter'),
    clock: systemClock,
    counters,
    books: new Books({ bucketMs: 60_000 }),
    logger,
  });
  const letters = new DeadLetters({ files, events, state, pipeline, logger });
  return { pipeline, letters, counters };
}

function send({ pipeline }: Life, topic: string, text: string): Promise<void> {
  const payload = Buffer.from(text);
  const message = { clientId: 'c', topic, payload, qos: 1, retain: false, dup: false };
  return new Promise((resolve, reject) => {
    pipeline.accept(message as never, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

async function redrive(
  { letters }: Life,
  offsets: readonly number[],
  more: { again?: boolean; dryRun?: boolean; signal?: AbortSignal } = {},
): Promise<readonly RedriveRow[]> {
  const options = { again: false, dryRun: false, signal: new AbortController().signal, ...more };
  return (await letters.redrive(offsets, options)).rows;
}

const outcomes = (rows: readonly RedriveRow[]) => rows.map(({ outcome }) => outcome);
const stored = async () => (await readAll(files, readings)).map(textOf).sort();
const buried = async () => (await readAll(files, events, 'dead-letter')).length;
const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
const long = (n: number, more = '') => `{"n":${n}${more},"noise":"${'x'.repeat(100)}"}`;

function expectBalance({ received, ...counters }: Counters): void {
  const { stored: kept, duplicates, deadLettered, rejected, lostAfterAck } = counters;
  expect(received).toBe(kept + duplicates + deadLettered + rejected + lostAfterAck);
}

describe('a dead letter that is sent through again', () => {
  it('is a reading once the limit allows it: now, with its bytes and its own time', async () => {
    const before = await live();
    await send(before, 'sensors/a/t', long(1, ',"ts":1767225600'));
    const life = await live({ maxPayloadBytes: 1_000 });
    const sinceMs = systemClock.monoMs();
    expect(await redrive(life, [0])).toEqual([
      { offset: 0, topic: 'sensors/a/t', outcome: 'stored' },
    ]);
    const [record] = await readAll(files, readings);
    if (record === undefined) throw new Error('no record');
    expect(textOf(record)).toBe(long(1, ',"ts":1767225600'));
    expect(record).toMatchObject({
      device: 'a',
      topic: 'sensors/a/t',
      deviceTimeMs: 1_767_225_600_000,
      messageId: { kind: 'id', text: `dead-letter:${events.logId}:0` },
    });
    expect(record.monoMs).toBeGreaterThan(sinceMs - 1);
    expect(record.reason).toBeUndefined();
  });

  it('keeps an id of its own, so that its repeat is one', async () => {
    const before = await live();
    await send(before, 'sensors/a/t', long(1, ',"id":"m-1"'));
    await send(before, 'sensors/a/t', long(1, ',"id":"m-1"'));
    const life = await live({ maxPayloadBytes: 1_000 });
    expect(outcomes(await redrive(life, [0, 1]))).toEqual(['stored', 'duplicate']);
    const [record] = await readAll(files, readings);
    expect(record?.messageId).toEqual({ kind: 'id', text: 'm-1' });
    expect(life.counters).toMatchObject({ received: 2, stored: 1, duplicates: 1 });
    expectBalance(life.counters);
  });

  it('is called after its dead letter where its boot was a user property', async () => {
    const before = await live();
    for (const id of ['"seq":7', '"seq":7', '"id":"m-1"', '"id":"m-1"']) {
      await send(before, 'sensors/a/t', long(1, `,${id}`));
    }
    const life = await live({ maxPayloadBytes: 1_000, bootFrom: 'property:boot' });
    expect(outcomes(await redrive(life, [0, 1], { dryRun: true }))).toEqual(['stored', 'stored']);
    const rows = await redrive(life, [0, 1, 2, 3]);
    expect(outcomes(rows)).toEqual(['stored', 'stored', 'stored', 'duplicate']);
    const ids = (await readAll(files, readings)).map(({ messageId }) => messageId?.text);
    expect(ids).toEqual([0, 1].map((n) => `dead-letter:${events.logId}:${n}`).concat('m-1'));
    expect(outcomes(await redrive(life, [1], { again: true }))).toEqual(['duplicate']);
  });

  it('that is still no reading is said to be none: no copy, and nothing in the books', async () => {
    const life = await live();
    await send(life, 'sensors/a/t', long(1));
    await send(life, 'sensors/a/t', '{"value":');
    await send(life, 'sensors//t', '1');
    const counted = { ...life.counters };
    const rows = await redrive(life, [0, 1, 2]);
    expect(rows.map((row) => ('reason' in row ? [row.outcome, row.reason] : row))).toEqual([
      ['no-reading', 'PAYLOAD_TOO_LARGE'],
      ['no-reading', 'PAYLOAD_NOT_A_READING'],
      ['no-reading', 'DEVICE_INVALID'],
    ]);
    expect(await buried()).toBe(3);
    expect(life.counters).toEqual(counted);
    expect(state.stored.size).toBe(0);
  });

  it('of a topic that is no stream’s by now is left, and not counted', async () => {
    await send(await live(), 'sensors/a/t', long(1));
    const life = await live({ pattern: 'meters/<device>' });
    expect(outcomes(await redrive(life, [0]))).toEqual(['no-stream']);
    expect(life.counters).toEqual(newCounters());
  });

  it('that is not there is named: beyond the end, or gone', async () => {
    const life = await live();
    await send(life, 'sensors/a/t', 'x');
    expect(await redrive(life, [0, 1])).toMatchObject([
      { offset: 0, outcome: 'no-reading' },
      { offset: 1, outcome: 'not-there', reason: 'OFFSET_BEYOND_END' },
    ]);
  });

  it('that the flash does not take is refused, counted, and not noted', async () => {
    await send(await live(), 'sensors/a/t', long(1));
    const life = await live({ maxPayloadBytes: 1_000 });
    files.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined);
    expect(await redrive(life, [0])).toMatchObject([
      { outcome: 'refused', reason: 'LOG_NOT_DURABLE', detail: expect.stringMatching(/ENOSPC/) },
    ]);
    expect(life.counters).toMatchObject({ received: 1, rejected: 1 });
    expectBalance(life.counters);
    files.fault = () => undefined;
    await until('the log takes data', () => readings.status().state === 'durable');
    expect(outcomes(await redrive(life, [0]))).toEqual(['stored']);
    expect(await stored()).toEqual([long(1)]);
  });
});

describe('a second redrive', () => {
  const both = { maxPayloadBytes: 1_000 };

  it('goes in the order in which they came, however long their notes take', async () => {
    const before = await live();
    for (const n of [1, 2, 3, 4]) await send(before, 'sensors/a/t', long(n));
    const life = await live({ maxPayloadBytes: 1_000 });
    const { get } = state;
    let waitMs = 40;
    state.get = async (key) => {
      waitMs -= 10;
      await wait(Math.max(0, waitMs));
      return get(key);
    };
    expect(outcomes(await redrive(life, [0, 1, 2, 3]))).toEqual(Array(4).fill('stored'));
    expect((await readAll(files, readings)).map(textOf)).toEqual([1, 2, 3, 4].map((n) => long(n)));
  });

  it('finds what was redriven with success, in another life too', async () => {
    const before = await live();
    for (const n of [0, 1, 2]) await send(before, 'sensors/a/t', long(n));
    expect(outcomes(await redrive(await live(both), [2, 0, 2]))).toEqual(['stored', 'stored']);
    const life = await live(both);
    const rows = await redrive(life, [0, 1, 2]);
    expect(outcomes(rows)).toEqual(['already-redriven', 'stored', 'already-redriven']);
    expect(life.counters).toMatchObject({ received: 1, stored: 1 });
    expect(await stored()).toEqual([0, 1, 2].map((n) => long(n)));
    expect(await life.letters.redriven(0)).toMatchObject({ log: events.logId, ranges: [[0, 2]] });
  });

  it('with `again` asks dedup, which knows the name of the dead letter', async () => {
    await send(await live(), 'sensors/a/t', long(1));
    const life = await live(both);
    expect(outcomes(await redrive(life, [0]))).toEqual(['stored']);
    expect(outcomes(await redrive(life, [0], { again: true }))).toEqual(['duplicate']);
    expectBalance(life.counters);
  });

  it.each([
    ['auto', 'duplicate', 1],
    ['id', 'duplicate', 1],
    ['sequence', 'duplicate', 1],
    ['payload', 'duplicate', 1],
    ['none', 'stored', 2],
  ] as const)('after a crash before the note, with dedup %s: %s', async (mode, outcome, count) => {
    await send(await live(), 'sensors/a/t', long(1));
    const write = state.write;
    state.write = () => Promise.reject(new Error('killed'));
    const crashed = await live({ ...both, mode });
    await expect(redrive(crashed, [0])).rejects.toThrow('killed');
    state.write = write;
    const life = await live({ ...both, mode });
    expect(outcomes(await redrive(life, [0]))).toEqual([outcome]);
    expect(await stored()).toHaveLength(count);
    expect(outcomes(await redrive(life, [0]))).toEqual(['already-redriven']);
  });

  it('at the same time waits for the first', async () => {
    await send(await live(), 'sensors/a/t', long(1));
    const life = await live({ ...both, mode: 'none' });
    const all = await Promise.all([redrive(life, [0]), redrive(life, [0])]);
    expect(all.flatMap(outcomes)).toEqual(['stored', 'already-redriven']);
  });
});

describe('a dry run', () => {
  it('says what would become of each, and changes nothing', async () => {
    const before = await live();
    await send(before, 'sensors/a/t', long(1));
    await send(before, 'sensors/a/t', long(1, ',"id":"m-1"'));
    await send(before, 'sensors/a/t', 'x');
    const life = await live({ maxPayloadBytes: 1_000 });
    await send(life, 'sensors/a/t', long(1, ',"id":"m-1"'));
    const counted = { ...life.counters };
    const rows = await redrive(life, [0, 1, 2], { dryRun: true });
    expect(outcomes(rows)).toEqual(['stored', 'duplicate', 'no-reading']);
    expect(life.counters).toEqual(counted);
    expect(await stored()).toHaveLength(1);
    expect(state.stored.size).toBe(0);
    expect(outcomes(await redrive(life, [0]))).toEqual(['stored']);
  });
});

describe('a request', () => {
  it('of a stream with `ack: received` is told of what is on flash alone', async () => {
    const before = await live();
    await send(before, 'sensors/a/t', long(1));
    await send(before, 'sensors/a/t', long(2, ',"id":"m-2"'));
    const life = await live({ maxPayloadBytes: 1_000, ack: 'received' });
    files.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined);
    // Acknowledged ahead of the flash, and lost: its repeat must not pass for one of a reading.
    await send(life, 'sensors/a/t', long(2, ',"id":"m-2"'));
    expect(outcomes(await redrive(life, [0, 1]))).toEqual(['refused', 'refused']);
    expect(life.counters).toMatchObject({ received: 3, lostAfterAck: 1, rejected: 2 });
    expectBalance(life.counters);
    expect(state.stored.size).toBe(0);
  });

  it('ends when whoever asked is gone', async () => {
    await send(await live(), 'sensors/a/t', long(1));
    const life = await live({ maxPayloadBytes: 1_000 });
    expect(await redrive(life, [0], { signal: AbortSignal.abort() })).toEqual([]);
    expect(life.counters).toEqual(newCounters());
  });

  it('has so much on its way at a time, and more only when that is on flash', async () => {
    const before = await live();
    const text = (n: number) => `{"n":${n},"noise":"${'x'.repeat(20_000)}"}`;
    for (let n = 0; n < 30; n++) await send(before, 'sensors/a/t', text(n));
    const waiting: Array<() => void> = [];
    const letters = new DeadLetters({
      files,
      events,
      state,
      logger: silentLogger,
      pipeline: {
        redrive: (_, __, done) => waiting.push(() => done({ outcome: 'stored' })),
        foresee: () => ({ outcome: 'stored' }),
      },
    });
    const all = Array.from({ length: 30 }, (_, n) => n);
    const { signal } = new AbortController();
    const answer = letters.redrive(all, { again: false, dryRun: false, signal });
    const rounds: number[] = [];
    for (const upTo of [14, 28, 30]) {
      await until('the letters are on their way', () => waiting.length >= upTo - sum(rounds));
      // Whatever it would do beyond that without being told, it has done by then.
      await readAll(files, events, 'dead-letter');
      rounds.push(waiting.length);
      for (const end of waiting.splice(0)) end();
    }
    expect(rounds).toEqual([14, 14, 2]);
    expect((await answer).rows).toHaveLength(30);
  });

  it('keeps the notes of what was stored before a file could not be read', async () => {
    const before = await live();
    await send(before, 'sensors/a/t', long(0));
    for (let n = 1; n < 600; n++) await send(before, 'sensors/a/t', 'x');
    await send(before, 'sensors/a/t', long(600));
    const life = await live({ maxPayloadBytes: 1_000 });
    files.fault = (operation) =>
      operation === 'open' && life.counters.received > 0 ? 'EIO' : undefined;
    await expect(redrive(life, [0, 600])).rejects.toThrow('EIO');
    files.fault = () => undefined;
    expect(outcomes(await redrive(life, [0, 600]))).toEqual(['already-redriven', 'stored']);
  });

  it('keeps the notes of what was stored beside one whose note could not be read', async () => {
    const before = await live();
    for (const n of [0, 1, 2]) await send(before, 'sensors/a/t', long(n));
    const life = await live({ maxPayloadBytes: 1_000, mode: 'none' });
    const get = state.get;
    let reads = 0;
    state.get = (key) => (++reads === 2 ? Promise.reject(new Error('a bad page')) : get(key));
    await expect(redrive(life, [0, 1, 2])).rejects.toThrow('a bad page');
    // What comes after it has not begun: it would have come before it.
    expect(outcomes(await redrive(life, [0, 1, 2]))).toEqual([
      'already-redriven',
      'stored',
      'stored',
    ]);
    expect(await stored()).toEqual([0, 1, 2].map((n) => long(n)));
  });
});

it('notes of letters that retention has dropped are forgotten', async () => {
  await events.close();
  events = await openTestJournal(files, {
    folder: '/data/log/small',
    streams: [{ name: 'dead-letter', partitions: 1 }],
    segmentBytes: 16 * 1024,
    retention: { maxBytes: 48 * 1024, maxAgeMs: 0 },
  });
  const small = await live();
  await send(small, 'sensors/a/t', long(0));
  const life = await live({ maxPayloadBytes: 1_000 });
  expect(outcomes(await redrive(life, [0]))).toEqual(['stored']);
  for (let n = 0; n < 60; n++) await send(small, 'sensors/a/t', long(n));
  const last = (events.nextOffsets('dead-letter')[0] ?? 0) - 1;
  expect(await redrive(life, [0, last])).toMatchObject([
    { offset: 0, outcome: 'not-there', reason: 'OFFSET_GONE' },
    { offset: last, outcome: 'stored' },
  ]);
  expect([...state.stored.values()]).toEqual([`[[${last},${last}]]`]);
});
