import { beforeEach, expect, it } from 'vitest';
import { Books } from '../../../src/audit/books.ts';
import { Expiry } from '../../../src/audit/expiry.ts';
import type { StreamBooks } from '../../../src/audit/stream-books.ts';
import { HandledOffsets } from '../../../src/base/handled-offsets.ts';
import type { LogRecord } from '../../../src/base/reading.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const MINUTE_MS = 60_000;

let own: StreamBooks;
let expiry: Expiry;
let acked: HandledOffsets;
let saves: number;
let canSave: boolean;
let whileReading: () => void;

const recordAt = (partition: number, offset: number): LogRecord => ({
  ...{ stream: 'readings', partition, offset, device: 'd', topic: 't', payload: new Uint8Array() },
  ...{ monoMs: 0, boot: '00', runMs: 0 },
  // Four a minute.
  receivedAtMs: NOON + Math.floor(offset / 4) * MINUTE_MS,
});

beforeEach(() => {
  const books = new Books({ bucketMs: MINUTE_MS });
  const stream = { name: 'readings', log: 'a1', takesMessages: true };
  const head = { booked: [100, 100], expiredTo: [0, 0], forwards: true };
  own = books.open(stream, head).books;
  acked = new HandledOffsets([0, 0]);
  saves = 0;
  canSave = true;
  whileReading = () => {};
  expiry = new Expiry({
    books,
    acked: () => acked,
    save: async () => {
      saves += 1;
      return canSave;
    },
    read: async function* (_, from, until) {
      for (const [p, first] of from.entries()) {
        for (let offset = first; offset < (until[p] ?? 0); offset++) yield [recordAt(p, offset)];
      }
      whileReading();
    },
  });
});

const drop = (offset: number, count: number, partition = 0) =>
  expiry.keep([{ stream: 'readings', partition, offset, count }]);

const expired = () =>
  [...own.buckets.values()].map(({ startMs, counts }) => [
    (startMs - NOON) / MINUTE_MS,
    counts.expired,
  ]);

it('counts by bucket what the cloud has not had, saved before it goes', async () => {
  acked = new HandledOffsets([2, 0]);
  await drop(0, 10);
  expect(expired()).toEqual([
    [0, 2],
    [1, 4],
    [2, 2],
  ]);
  expect(own.expiredTo).toEqual([10, 0]);
  expect(saves).toBe(1);
});

it('counts nothing a second time: after a crash the same is dropped again', async () => {
  await drop(0, 8);
  await drop(0, 8);
  await drop(4, 8);
  expect(expired().reduce((sum, [, count = 0]) => sum + count, 0)).toBe(12);
});

it('counts nothing that the cloud acknowledged while it was read', async () => {
  whileReading = () => {
    acked = new HandledOffsets([6, 0]);
  };
  await drop(0, 8);
  expect(expired()).toEqual([[1, 2]]);
});

it('counts what lies between what the cloud acknowledged ahead of it', async () => {
  acked = new HandledOffsets([1, 0], [[[3, 6]], []]);
  whileReading = () => acked.add(0, { from: 8, to: 10 });
  await drop(0, 12);
  // 1 and 2; 6 and 7; 10 and 11.
  expect(expired()).toEqual([
    [0, 2],
    [1, 2],
    [2, 2],
  ]);
  expect(own.expiredTo).toEqual([12, 0]);
});

it('counts nothing of a stream that no uplink sends, and nothing that it has sent', async () => {
  acked = new HandledOffsets([8, 0]);
  await drop(0, 8);
  own.setForwards(false);
  await drop(8, 8);
  expect(expired()).toEqual([]);
});

it('says so when the books could not be saved, and has counted all the same', async () => {
  canSave = false;
  await expect(drop(0, 2)).rejects.toThrow('the books could not be saved');
  expect(expired()).toEqual([[0, 2]]);
});
