import { describe, expect, it } from 'vitest';
import { Books } from '../../../src/audit/books.ts';
import { copyOf, noCounts, owed } from '../../../src/audit/counts.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const MINUTE_MS = 60_000;
const READINGS = { name: 'readings', log: 'a1', takesMessages: true };
const HEAD = { booked: [0, 0], expiredTo: [0, 0], forwards: true };

type Stored = Map<string, string>;

function openBooks(
  stored: Stored = new Map(),
  more: { maxBuckets?: number; bucketMs?: number } = {},
) {
  const books = new Books({ bucketMs: MINUTE_MS, ...more }, [...stored]);
  const { books: own, isNew } = books.open(READINGS, HEAD);
  return { books, own, isNew };
}

/** As a state store would. */
function save(books: Books, stored: Stored): number {
  const changes = books.takeChanges();
  for (const [key, value] of changes) {
    if (value === undefined) stored.delete(key);
    else stored.set(key, value);
  }
  return changes.size;
}

const rows = ({ own }: Pick<ReturnType<typeof openBooks>, 'own'>) =>
  [...own.buckets.values()]
    .map(({ startMs, counts }) => [startMs - NOON, counts.received, counts.stored])
    .sort(([a = 0], [b = 0]) => a - b);

describe('the books', () => {
  it('have what was saved, and are saved only when something has changed', () => {
    const stored: Stored = new Map();
    const { books, own, isNew } = openBooks();
    expect(isNew).toBe(true);
    own.stored(1, NOON + 5, NOON);
    own.stored(1, undefined, NOON + MINUTE_MS);
    books.unstored('readings', 'duplicates', { deviceTimeMs: NOON, wallMs: NOON + 9 });
    // A head and two buckets.
    expect(save(books, stored)).toBe(3);
    expect(save(books, stored)).toBe(0);
    own.bucketAt(NOON, NOON).counts.cloudAcked += 1;
    expect(save(books, stored)).toBe(1);
    const again = openBooks(stored);
    expect(again.isNew).toBe(false);
    expect(again.own.booked).toEqual([0, 2]);
    expect(rows(again)).toEqual([
      [0, 2, 1],
      [MINUTE_MS, 1, 1],
    ]);
    expect(again.own.buckets.get(NOON)?.counts).toEqual({
      ...noCounts(),
      received: 2,
      duplicates: 1,
      stored: 1,
      cloudAcked: 1,
    });
    expect(save(again.books, stored)).toBe(0);
  });

  it('forget what is of another log, and begin anew where a head is not readable', () => {
    const stored: Stored = new Map();
    const { books, own } = openBooks();
    own.stored(0, undefined, NOON);
    save(books, stored);
    for (const [key, value] of [...stored]) stored.set(key.replace('a1', 'b2'), value);
    stored.set('audit/a1/readings', '{"booked":[1]}');
    const again = openBooks(stored);
    again.books.dropOthers();
    expect(again.isNew).toBe(true);
    expect(rows(again)).toEqual([]);
    save(again.books, stored);
    expect([...stored.keys()]).toEqual(['audit/a1/readings']);
  });

  it('name what is not readable: a bucket, the numbers of entries, a head for all it has', () => {
    const stored: Stored = new Map();
    const { books, own } = openBooks();
    books.openEntries('e1', 0);
    for (let i = 0; i < 2; i++) own.stored(0, undefined, NOON + i * MINUTE_MS);
    save(books, stored);
    const opened = () => {
      const named: string[] = [];
      const onUnreadable = (key: string) => named.push(key);
      const again = new Books({ bucketMs: MINUTE_MS, onUnreadable }, [...stored]);
      again.open(READINGS, HEAD);
      again.openEntries('e1', 0);
      return named;
    };
    expect(opened()).toEqual([]);
    stored.set(`audit/a1/readings/${NOON}`, '[1,');
    stored.set('audit/e1/', '{}');
    expect(opened()).toEqual([`audit/a1/readings/${NOON}`, 'audit/e1/']);
    stored.set('audit/a1/readings', '{');
    expect(opened()).toEqual(['audit/a1/readings', 'audit/e1/']);
  });

  it('merge the oldest quarter when there are too many, and count nothing twice or never', () => {
    const stored: Stored = new Map();
    const { books, own } = openBooks(new Map(), { maxBuckets: 8 });
    for (let i = 0; i < 8; i++) own.stored(0, undefined, NOON + i * MINUTE_MS);
    save(books, stored);
    own.stored(0, undefined, NOON + 8 * MINUTE_MS);
    // The two oldest, and what comes for them from here on.
    own.bucketAt(NOON + 1, NOON).counts.cloudAcked += 1;
    expect(own.mergedBeforeMs).toBe(NOON + 2 * MINUTE_MS);
    const merged = own.buckets.get(0);
    expect(merged).toMatchObject({ endMs: NOON + 2 * MINUTE_MS });
    expect(merged?.counts).toMatchObject({ stored: 2, received: 2, cloudAcked: 1 });
    expect(own.buckets.size).toBe(8);
    save(books, stored);
    const again = openBooks(stored, { maxBuckets: 8 });
    expect(again.own.buckets.get(0)).toMatchObject({ endMs: NOON + 2 * MINUTE_MS });
    expect(again.own.buckets.size).toBe(8);
    const sum = [...again.own.buckets.values()].reduce((all, { counts }) => all + counts.stored, 0);
    expect(sum).toBe(9);
  });

  it('count in the merged bucket what comes for the time that was merged to make room', () => {
    const { own } = openBooks(new Map(), { maxBuckets: 4 });
    for (let i = 0; i < 4; i++) own.stored(0, undefined, NOON + i * MINUTE_MS);
    own.stored(0, undefined, NOON - MINUTE_MS);
    const minutes = [1, 2, 3].map((i) => NOON + i * MINUTE_MS);
    expect([...own.buckets.keys()].sort((a, b) => a - b)).toEqual([0, ...minutes]);
    expect(own.buckets.get(0)?.counts).toMatchObject({ received: 2, stored: 2 });
  });

  it('never merge a bucket whose entry is on its way', () => {
    const { own } = openBooks(new Map(), { maxBuckets: 4 });
    for (let i = 0; i < 4; i++) own.stored(0, undefined, NOON + i * MINUTE_MS);
    const first = own.buckets.get(NOON);
    if (first !== undefined) first.entry = 7;
    own.merge(NOON + 2 * MINUTE_MS);
    expect(own.buckets.get(NOON)?.counts.stored).toBe(1);
    expect(own.buckets.get(0)?.counts.stored).toBe(1);
  });

  it('merge what such a bucket got besides, when its entry is there', () => {
    const stored: Stored = new Map();
    const { books, own } = openBooks();
    const count = () => {
      own.stored(0, undefined, NOON);
      own.bucketAt(undefined, NOON).counts.cloudAcked += 1;
    };
    count();
    const first = own.bucketFrom(NOON);
    first.entry = 7;
    const written = copyOf(first.counts);
    own.stored(0, undefined, NOON);
    own.merge(NOON + 2 * MINUTE_MS);
    save(books, stored);
    // Acknowledged where a merged bucket has what is of that time.
    own.bucketAt(undefined, NOON).counts.cloudAcked += 1;
    own.closed(first, written);
    const counts = { ...noCounts(), received: 1, stored: 1, cloudAcked: 1 };
    expect([...own.buckets.values()]).toMatchObject([
      { startMs: 0, endMs: NOON + 2 * MINUTE_MS, counts },
    ]);
    save(books, stored);
    const again = openBooks(stored);
    expect([...again.own.buckets.values()].map((one) => [one.startMs, one.counts])).toEqual([
      [0, counts],
    ]);
  });

  it('become one bucket when the size of buckets is another', () => {
    const stored: Stored = new Map();
    const { books, own } = openBooks();
    for (let i = 0; i < 3; i++) own.stored(0, undefined, NOON + i * MINUTE_MS);
    save(books, stored);
    const again = openBooks(stored, { bucketMs: 5 * MINUTE_MS });
    expect([...again.own.buckets.keys()]).toEqual([0]);
    expect(again.own.buckets.get(0)).toMatchObject({ endMs: NOON + 5 * MINUTE_MS });
    again.own.stored(0, undefined, NOON + 6 * MINUTE_MS);
    expect([...again.own.buckets.keys()]).toEqual([0, NOON + 5 * MINUTE_MS]);
    save(again.books, stored);
    // It stays so: the same once more, and nothing more is merged.
    const third = openBooks(stored, { bucketMs: 5 * MINUTE_MS });
    expect([...third.own.buckets.keys()].sort()).toEqual([0, NOON + 5 * MINUTE_MS]);
  });

  it('are owed nothing of before when an uplink is switched on', () => {
    const { own } = openBooks();
    own.setForwards(false);
    own.stored(0, undefined, NOON);
    own.setForwards(true);
    expect(own.buckets.get(NOON)?.counts).toMatchObject({ stored: 1, notForwarded: 1 });
    own.stored(0, undefined, NOON);
    own.setForwards(true);
    expect(owed(own.buckets.get(NOON)?.counts ?? noCounts())).toBe(1);
  });
});

describe('an entry that the saved books know nothing of', () => {
  it('leaves the rest to the merged bucket, where its time was merged', () => {
    const stored: Stored = new Map();
    const { books, own } = openBooks();
    own.stored(0, undefined, NOON);
    own.stored(0, undefined, NOON);
    own.bucketAt(undefined, NOON).counts.cloudAcked += 1;
    own.bucketFrom(NOON).entry = 7;
    own.merge(NOON + 2 * MINUTE_MS);
    save(books, stored);
    const again = openBooks(stored);
    const counts = { ...noCounts(), received: 1, stored: 1, cloudAcked: 1 };
    const entry = { bucketStart: NOON, bucketMs: MINUTE_MS, n: 7, counts };
    again.books.closedBefore({ stream: 'readings', ...entry });
    again.own.bucketAt(undefined, NOON).counts.cloudAcked += 1;
    expect([...again.own.buckets.values()]).toMatchObject([{ startMs: 0, counts }]);
  });

  it('takes its counts with it, and what it counted besides is not missing', () => {
    const stored: Stored = new Map();
    const { books, own } = openBooks();
    own.stored(0, undefined, NOON);
    own.stored(0, undefined, NOON);
    save(books, stored);
    const again = openBooks(stored);
    const { own: after } = again;
    // Another reading came in after the entry; a repeat before it was never saved.
    after.stored(0, undefined, NOON);
    const counts = { ...noCounts(), received: 3, duplicates: 1, stored: 2, cloudAcked: 2 };
    again.books.closedBefore({
      ...{ stream: 'readings', bucketStart: NOON, bucketMs: MINUTE_MS, n: 41, counts },
    });
    // The two are acknowledged once more, since the position was not saved either.
    expect(after.buckets.get(NOON)?.counts).toEqual({
      ...{ ...noCounts(), received: 1, stored: 1, cloudAcked: -2 },
    });
    expect(again.books.takeEntry()).toBe(42);
  });

  it('of a merged bucket takes what was saved apart, before the merging', () => {
    const stored: Stored = new Map();
    const { books, own } = openBooks();
    for (const atMs of [NOON, NOON + MINUTE_MS]) {
      own.stored(0, undefined, atMs);
      own.bucketAt(undefined, atMs).counts.cloudAcked += 1;
    }
    save(books, stored);
    const again = openBooks(stored);
    const counts = { ...noCounts(), received: 2, stored: 2, cloudAcked: 2 };
    const entry = { bucketStart: 0, bucketMs: NOON + 2 * MINUTE_MS, n: 3, counts };
    again.books.closedBefore({ stream: 'readings', ...entry });
    expect(again.own.mergedBeforeMs).toBe(NOON + 2 * MINUTE_MS);
    expect([...again.own.buckets.values()]).toEqual([]);
  });

  it('leaves to be sent what it wrote off while the uplink was switched off', () => {
    const stored: Stored = new Map();
    const { books, own } = openBooks();
    own.stored(0, undefined, NOON);
    own.stored(0, undefined, NOON);
    save(books, stored);
    const again = openBooks(stored);
    const counts = { ...noCounts(), received: 2, stored: 2, notForwarded: 2 };
    const entry = { bucketStart: NOON, bucketMs: MINUTE_MS, n: 1, counts };
    again.books.closedBefore({ stream: 'readings', ...entry });
    expect(again.own.buckets.get(NOON)?.counts).toEqual({ ...noCounts(), opening: 2 });
  });

  it('leaves nothing behind where it had all there was', () => {
    const { books, own } = openBooks();
    own.stored(0, undefined, NOON);
    own.bucketAt(undefined, NOON).counts.cloudAcked += 1;
    const counts = { ...noCounts(), received: 1, stored: 1, cloudAcked: 1 };
    const entry = { bucketStart: NOON, bucketMs: MINUTE_MS, n: 1, counts };
    books.closedBefore({ stream: 'readings', ...entry });
    expect(own.buckets.size).toBe(0);
  });
});
