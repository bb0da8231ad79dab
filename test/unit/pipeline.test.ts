import { beforeEach, describe, expect, it } from 'vitest';
import { Books } from '../../src/audit/books.ts';
import { systemClock } from '../../src/base/clock.ts';
import { type Counters, newCounters } from '../../src/base/counters.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { AUTO } from '../../src/decode/json.ts';
import { Dedup } from '../../src/dedup/dedup.ts';
import { messageIdRule } from '../../src/ingest/id-source.ts';
import type { ReadingRules } from '../../src/ingest/parse-reading.ts';
import { TopicMap } from '../../src/ingest/topic-map.ts';
import type { Journal } from '../../src/log/journal.ts';
import { partitionOf } from '../../src/log/partition.ts';
import { Pipeline } from '../../src/pipeline.ts';
import { FakeFiles } from '../support/fake-files.ts';
import { openTestJournal, readAll, textOf } from '../support/journals.ts';
import { autoRules } from '../support/reading-rules.ts';

const PARTITIONS = 4;

let files: FakeFiles;
let readings: Journal;
let events: Journal;
let counters: Counters;
let openPipeline: (rules: ReadingRules) => Pipeline;
let books: Books;
let pipeline: Pipeline;
let told: unknown[];

beforeEach(async () => {
  files = new FakeFiles();
  readings = await openTestJournal(files, {
    streams: [{ name: 'readings', partitions: PARTITIONS }],
  });
  events = await openTestJournal(files, {
    folder: '/data/log/events',
    streams: [{ name: 'dead-letter', partitions: 1 }],
  });
  counters = newCounters();
  told = [];
  books = new Books({ bucketMs: 60_000 });
  const own = { name: 'readings', log: readings.logId, takesMessages: true };
  books.open(own, { booked: [0, 0, 0, 0], expiredTo: [0, 0, 0, 0], forwards: false });
  const ids = { windowMs: 1e9, windowIds: 1_000, maxIds: 1_000, maxDevices: 100 };
  const dedup = new Dedup({ mode: 'auto', ...ids });
  const pattern = { stream: 'readings', partitions: PARTITIONS, pattern: 'sensors/<device>/#' };
  const ack = 'durable' as const;
  const target = { journal: readings, stream: readings.stream('readings'), dedup, ack };
  openPipeline = (rules) =>
    new Pipeline({
      topics: new TopicMap([pattern]),
      streams: new Map([['readings', { ...target, rules }]]),
      events,
      deadLetters: events.stream('dead-letter'),
      clock: systemClock,
      counters,
      books,
      logger: { ...silentLogger, info: (fields) => void told.push(fields['topic']) },
    });
  pipeline = openPipeline(autoRules(1_000));
});

/** False: no stream's. */
function send(topic: string, text: string | Uint8Array, more = {}): Promise<boolean> {
  const payload = Buffer.from(text);
  const message = { clientId: 'c', topic, payload, qos: 1, retain: false, dup: false, ...more };
  return new Promise((resolve, reject) => {
    const isTaken = pipeline.accept(message as never, (error) =>
      error === undefined ? resolve(true) : reject(error),
    );
    if (!isTaken) resolve(false);
  });
}

describe('a message', () => {
  it('goes to the partition of its device, and nowhere else', async () => {
    const devices = Array.from({ length: 12 }, (_, n) => `d${n}`);
    for (const device of devices) await send(`sensors/${device}/t`, '21.5');
    const found = (await readAll(files, readings)).map(({ device, partition }) => [
      device,
      partition,
    ]);
    const expected = devices.map((device) => [device, partitionOf(device, PARTITIONS)]);
    expect(found).toEqual(expected);
    expect(new Set(found.map(([, partition]) => partition)).size).toBeGreaterThan(1);
  });

  it('that takes back what is retained is no reading; any other empty one is buried', async () => {
    expect(await send('sensors/a/t', '', { retain: true })).toBe(false);
    expect(counters).toEqual(newCounters());
    expect(await send('sensors/a/t', '')).toBe(true);
    expect(counters).toMatchObject({ received: 1, stored: 0, deadLettered: 1 });
  });

  it('of no stream is passed on and counted apart', async () => {
    expect(await send('office/light', 'on')).toBe(false);
    expect(counters).toEqual({ ...newCounters(), unrouted: 1 });
  });

  it('of no stream is told of once a topic, and of 100 topics at most', async () => {
    const topics = Array.from({ length: 150 }, (_, i) => `office/${i}`);
    for (const topic of topics.flatMap((one) => [one, one])) await send(topic, 'on');
    expect(told).toEqual(topics.slice(0, 100));
    expect(counters.unrouted).toBe(300);
  });

  it('that is no reading is kept as it came, with its reason and its device', async () => {
    await send('sensors/a/t', '{"value":');
    const [letter] = await readAll(files, events, 'dead-letter');
    if (letter === undefined) throw new Error('no dead letter');
    expect(textOf(letter)).toBe('{"value":');
    expect(letter).toMatchObject({
      device: 'a',
      topic: 'sensors/a/t',
      reason: 'PAYLOAD_NOT_A_READING',
    });
  });

  it('that can’t be made durable is refused, counted, and new when it comes again', async () => {
    files.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined);
    await expect(send('sensors/a/t', '{"id":"1","value":1}')).rejects.toThrow('LOG_NOT_DURABLE');
    expect(counters).toMatchObject({ received: 1, stored: 0, rejected: 1 });
    files.fault = () => undefined;
    await expect.poll(() => readings.status().state, { timeout: 3_000 }).toBe('durable');
    await send('sensors/a/t', '{"id":"1","value":1}');
    await send('sensors/a/t', '{"id":"1","value":1}');
    expect(counters).toMatchObject({ received: 3, stored: 1, duplicates: 1, rejected: 1 });
    expect(await readAll(files, readings)).toHaveLength(1);
    // What is stored the books see committed.
    expect(books.outcomes).toMatchObject({ refused: 1, duplicates: 1, stored: 0 });
    const own = [...(books.of('readings')?.buckets.values() ?? [])];
    expect(own.map(({ counts }) => counts.received).reduce((sum, n) => sum + n, 0)).toBe(2);
  });

  it('whose dead letter can’t be made durable is refused, in the books too', async () => {
    files.fault = (operation) => (operation === 'write' ? 'ENOSPC' : undefined);
    await expect(send('sensors/a/t', '{')).rejects.toThrow('LOG_NOT_DURABLE');
    expect(counters).toMatchObject({ received: 1, deadLettered: 0, rejected: 1 });
    expect(books.outcomes).toMatchObject({ refused: 1, deadLettered: 0 });
    files.fault = () => undefined;
  });
});

describe('the id of a message', () => {
  it('may be a user property: a repeat is known by it, whatever the bytes', async () => {
    const messageId = messageIdRule('property:msg-id', 'payload', AUTO);
    pipeline = openPipeline({ ...autoRules(1_000), messageId });
    const properties = (id: string) => ({ userProperties: { 'msg-id': id } });
    await send('sensors/a/t', '{"value":1}', properties('m-1'));
    await send('sensors/a/t', '{"value":1,"try":2}', properties('m-1'));
    await send('sensors/a/t', '{"value":1}', properties('m-2'));
    await send('sensors/a/t', '{"value":1}');
    expect(counters).toMatchObject({ received: 4, stored: 3, duplicates: 1 });
    const ids = (await readAll(files, readings)).map(({ messageId: id }) => id?.text);
    expect(ids).toEqual(['m-1', 'm-2', undefined]);
  });
});
