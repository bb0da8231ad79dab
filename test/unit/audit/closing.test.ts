import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Books } from '../../../src/audit/books.ts';
import { Closing, type ClosingOptions } from '../../../src/audit/closing.ts';
import { noCounts } from '../../../src/audit/counts.ts';
import { type AuditEntry, parseEntry } from '../../../src/audit/entry.ts';
import type { StreamBooks } from '../../../src/audit/stream-books.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const MINUTE_MS = 60_000;
const LATE_MS = 120_000;

let clock: FakeClock;
let books: Books;
let own: StreamBooks;
let entries: AuditEntry[];
let isCaughtUp: boolean;
let append: ClosingOptions['append'];

beforeEach(() => {
  clock = new FakeClock();
  books = new Books({ bucketMs: MINUTE_MS });
  const stream = { name: 'readings', log: 'a1', takesMessages: true };
  own = books.open(stream, { booked: [0], expiredTo: [0], forwards: true }).books;
  entries = [];
  isCaughtUp = false;
  append = (reading, done) => {
    const entry = parseEntry(reading.payload);
    if (entry !== undefined) entries.push(entry);
    done(entries.length - 1);
  };
});

function closingOf(more: Partial<ClosingOptions> = {}): Closing {
  return new Closing({
    ...{ books, lateMs: LATE_MS, clock, logger: silentLogger, isCaughtUp: () => isCaughtUp },
    append: (reading, done) => append(reading, done),
    ...more,
  });
}

/** Time goes on by `lateMs` before each look. */
async function look(closing: Closing, times = 1): Promise<void> {
  for (let i = 0; i < times; i++) {
    clock.advance(LATE_MS);
    await closing.look();
  }
}

function store(count = 1): number {
  for (let i = 0; i < count; i++) own.stored(0, undefined, clock.wall);
  return Math.floor(clock.wall / MINUTE_MS) * MINUTE_MS;
}

const acked = (count: number, atMs: number) => {
  own.bucketAt(undefined, atMs).counts.cloudAcked += count;
};

describe('a bucket', () => {
  it('is closed when it is late, quiet and balanced, and leaves the books', async () => {
    const closing = closingOf();
    const at = store(3);
    await look(closing, 3);
    expect(entries).toEqual([]);
    acked(3, at);
    await look(closing);
    expect(entries, 'something was counted since the last look').toEqual([]);
    await look(closing);
    const counts = { ...noCounts(), received: 3, stored: 3, cloudAcked: 3 };
    const name = { log: 'a1', stream: 'readings', bucketStart: at, bucketMs: MINUTE_MS };
    expect(entries).toEqual([{ ...name, n: 1, counts }]);
    expect(own.buckets.size).toBe(0);
    expect(closing.closed).toEqual({ buckets: 1, last: { stream: 'readings', bucketStart: at } });
    await look(closing, 3);
    expect(entries).toHaveLength(1);
  });

  it('stays open when its entry can not even be appended, and that is logged', async () => {
    const error = vi.fn<typeof silentLogger.error>();
    const closing = closingOf({ logger: { ...silentLogger, error } });
    acked(1, store());
    const write = append;
    append = () => {
      throw new Error('broken');
    };
    await look(closing, 2);
    expect(error.mock.calls).toMatchObject([
      [{ stream: 'readings', error: 'broken' }, 'an entry of the audit could not be appended'],
    ]);
    append = write;
    await look(closing);
    expect(entries).toMatchObject([{ n: 1, counts: { stored: 1, cloudAcked: 1 } }]);
    expect(own.buckets.size).toBe(0);
  });

  it('has a further entry for what comes later, with that alone', async () => {
    const closing = closingOf();
    const at = store();
    acked(1, at);
    await look(closing, 2);
    own.stored(0, at, clock.wall);
    acked(1, at);
    await look(closing, 2);
    expect(entries.map(({ bucketStart, n, counts }) => [bucketStart, n, counts.stored])).toEqual([
      [at, 1, 1],
      [at, 2, 1],
    ]);
  });

  it('that gets company while its entry is written keeps it for another entry', async () => {
    const closing = closingOf();
    const at = store();
    acked(1, at);
    let finish = () => {};
    const write = append;
    append = (reading, done) => {
      finish = () => write(reading, done);
    };
    await look(closing);
    clock.advance(LATE_MS);
    const looking = closing.look();
    own.stored(0, at, clock.wall);
    finish();
    await looking;
    append = write;
    expect(own.buckets.get(at)?.counts).toEqual({ ...noCounts(), received: 1, stored: 1 });
    acked(1, at);
    await look(closing, 2);
    expect(entries.map(({ n, counts }) => [n, counts.stored])).toEqual([
      [1, 1],
      [2, 1],
    ]);
  });

  it('whose entry can’t be made durable stays, and keeps the number', async () => {
    const closing = closingOf();
    const at = store();
    acked(1, at);
    const write = append;
    append = (_, done) => done(undefined);
    await look(closing, 3);
    expect(own.buckets.get(at)?.counts.stored).toBe(1);
    own.stored(0, at, clock.wall);
    acked(1, at);
    append = write;
    await look(closing, 2);
    expect(entries.map(({ n, counts }) => [n, counts.stored])).toEqual([[1, 2]]);
  });

  it('whose arrivals do not add up is never closed', async () => {
    const closing = closingOf();
    const at = store();
    acked(1, at);
    own.bucketAt(undefined, at).counts.received += 1;
    await look(closing, 5);
    expect(entries).toEqual([]);
  });

  it('that lies ahead, since the clock was wrong, is closed after a day alone', async () => {
    const closing = closingOf();
    const at = store();
    acked(1, at);
    clock.wall -= 400 * 86_400_000;
    await look(closing, 700);
    expect(entries).toEqual([]);
    await look(closing, 30);
    expect(entries.map(({ bucketStart }) => bucketStart)).toEqual([at]);
  });

  it('of a stream without an uplink is closed by time, with what stays here', async () => {
    own.setForwards(false);
    const closing = closingOf();
    store(2);
    await look(closing, 2);
    expect(entries.map(({ counts }) => [counts.stored, counts.notForwarded])).toEqual([[2, 2]]);
  });

  it('of which the log has nothing more to send has lost the rest, and says so', async () => {
    const error = vi.fn<typeof silentLogger.error>();
    const closing = closingOf({ logger: { ...silentLogger, error } });
    const at = store(5);
    acked(3, at);
    await look(closing, 4);
    expect(entries).toEqual([]);
    isCaughtUp = true;
    await look(closing);
    expect(entries.map(({ counts }) => [counts.stored, counts.lost])).toEqual([[5, 2]]);
    expect(error.mock.calls).toEqual([
      [
        expect.objectContaining({ stream: 'readings', bucketStart: at, records: 2 }),
        'records that the cloud never had are not in the log any more',
      ],
    ]);
  });

  it('is closed with the gaps of its stream', async () => {
    const gap = (device: string, from: number, to: number) => ({ device, boot: 'b', from, to });
    const open = () => [gap('d1', 3, 4), gap('d1', 9, 9), gap('d2', 1, 1)];
    const closing = closingOf({ gaps: new Map([['readings', open]]) });
    let text = '';
    append = ({ payload }, done) => {
      text = Buffer.from(payload).toString();
      done(0);
    };
    acked(1, store());
    await look(closing, 2);
    expect(JSON.parse(text).gaps).toEqual({ devices: 2, numbers: 4 });
  });

  describe('among very many that are due', () => {
    const COUNT = 1_000;
    let first: number;

    beforeEach(() => {
      first = store();
      acked(1, first);
      for (let i = 1; i < COUNT; i++) {
        clock.advance(MINUTE_MS);
        acked(1, store());
      }
    });

    const lastStart = () => first + (COUNT - 1) * MINUTE_MS;

    it('is closed in a later turn than others, and the gaps are read once', async () => {
      let reads = 0;
      const gaps = new Map([
        [
          'readings',
          () => {
            reads += 1;
            return [{ device: 'd1', boot: 'b', from: 3, to: 4 }];
          },
        ],
      ]);
      const closing = closingOf({ gaps });
      await look(closing);
      clock.advance(LATE_MS);
      const perTurn: number[] = [];
      let isDone = false;
      const looking = closing.look().finally(() => {
        isDone = true;
      });
      for (let before = 0; !isDone; before = entries.length) {
        perTurn.push(entries.length - before);
        await new Promise(setImmediate);
      }
      await looking;
      expect(entries).toHaveLength(COUNT);
      expect(Math.max(...perTurn)).toBeLessThanOrEqual(400);
      expect(reads).toBe(1);
      expect(own.buckets.size).toBe(0);
    });

    it('waits for another look when something is counted in it meanwhile', async () => {
      const closing = closingOf();
      await look(closing);
      clock.advance(LATE_MS);
      const looking = closing.look();
      own.stored(0, lastStart(), clock.wall);
      own.bucketAt(lastStart(), clock.wall).counts.cloudAcked += 1;
      await looking;
      expect(entries).toHaveLength(COUNT - 1);
      await look(closing, 2);
      expect(entries.at(-1)).toMatchObject({ bucketStart: lastStart(), counts: { stored: 2 } });
      expect(entries).toHaveLength(COUNT);
    });

    it('is not written by itself when it was merged meanwhile', async () => {
      const closing = closingOf();
      await look(closing);
      clock.advance(LATE_MS);
      const looking = closing.look();
      own.merge(lastStart() + MINUTE_MS);
      await looking;
      await look(closing, 2);
      expect(entries.reduce((sum, { counts }) => sum + counts.stored, 0)).toBe(COUNT);
      expect(entries.at(-1)?.bucketStart).toBe(0);
      expect(own.buckets.size).toBe(0);
    });

    it('is left for another look when the log takes none any more', async () => {
      const closing = closingOf();
      await look(closing);
      clock.advance(LATE_MS);
      const write = append;
      let asked = 0;
      append = (_, done) => {
        asked += 1;
        done(undefined);
      };
      await closing.look();
      expect(asked).toBeLessThan(COUNT);
      append = write;
      await look(closing);
      expect(entries).toHaveLength(COUNT);
    });
  });
});
