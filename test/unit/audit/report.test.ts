import { describe, expect, it } from 'vitest';
import { type Counts, noCounts } from '../../../src/audit/counts.ts';
import type { AuditEntry } from '../../../src/audit/entry.ts';
import { type Backlog, reportOf } from '../../../src/audit/report.ts';
import type { AuditSnapshot, StreamSnapshot } from '../../../src/audit/snapshot.ts';

const NOON = Date.UTC(2026, 4, 4, 12);
const MINUTE_MS = 60_000;

function streamOf(more: Partial<StreamSnapshot> = {}): StreamSnapshot {
  return {
    ...{ stream: 'readings', log: 'a1', takesMessages: true, forwarded: true },
    ...{ bucketMs: MINUTE_MS, mergedBeforeMs: 0, from: [0], end: [9], ahead: [] },
    ...{ buckets: [], lostOffsets: [], gaps: [], gapDevices: 0, gapNumbers: 0 },
    ...more,
  };
}

const open = (counts: Partial<Counts>, minute = 0) => ({
  ...{ bucketStart: NOON + minute * MINUTE_MS, bucketMs: MINUTE_MS },
  ...{ ...noCounts(), ...counts },
});
const closed = (n: number, counts: Partial<Counts>, minute = 0): AuditEntry => ({
  ...{ log: 'a1', stream: 'readings', bucketStart: NOON + minute * MINUTE_MS },
  ...{ bucketMs: MINUTE_MS, n, counts: { ...noCounts(), ...counts } },
});

function report(
  stream: StreamSnapshot,
  more: { entries?: AuditEntry[]; backlog?: number; sinceMs?: number } = {},
  process?: AuditSnapshot['process'],
) {
  const { entries = [], backlog = 0, sinceMs } = more;
  const found: Backlog = new Map([['readings', new Map(backlog > 0 ? [[NOON, backlog]] : [])]]);
  const head = { v: 1 as const, streams: [stream], entriesEnd: entries.length };
  const snapshot = process === undefined ? head : { ...head, process };
  return reportOf({ snapshot, entries, backlog: found, sinceMs });
}

const faults = (of: ReturnType<typeof report>) =>
  of.unbalanced.map(({ equation, difference }) => [equation, difference]);

describe('the verdict', () => {
  it('adds up what is open, closed and still to send, a line a bucket', () => {
    const buckets = [open({ received: 3, duplicates: 1, stored: 2 })];
    const entries = [closed(1, { received: 5, stored: 5, cloudAcked: 5 })];
    const found = report(streamOf({ buckets }), { entries, backlog: 2 });
    expect(found.balanced).toBe(true);
    expect(found.buckets).toHaveLength(1);
    expect(found.buckets[0]).toMatchObject({ received: 8, stored: 7, backlog: 2, state: 'open' });
    expect(found.totals['readings']).toMatchObject({ received: 8, cloudAcked: 5, backlog: 2 });
  });

  it.each([
    ['a message without an outcome', { received: 1 }, 0, [['received', 1]]],
    ['a record that nobody has', { received: 1, stored: 1 }, 0, [['stored', 1]]],
    ['one too many to send', { received: 1, stored: 1 }, 2, [['stored', -1]]],
    ['one the cloud has twice', { received: 1, stored: 1, cloudAcked: 2 }, 0, [['stored', -1]]],
    ['one that is lost', { received: 1, stored: 1, lost: 1 }, 0, [['stored', 1]]],
  ])('names the bucket: %s', (_, counts, backlog, expected) => {
    const found = report(streamOf({ buckets: [open(counts)] }), { backlog });
    expect(faults(found)).toEqual(expected);
    expect(found.unbalanced[0]).toMatchObject({ stream: 'readings', bucketStart: NOON });
    expect(found.balanced).toBe(false);
  });

  it('names damage as the reason where the log knows of it', () => {
    const lostOffsets = [{ partition: 0, offset: 4, count: 3 }];
    const buckets = [open({ received: 3, stored: 3 })];
    const { unbalanced } = report(streamOf({ buckets, lostOffsets }));
    expect(unbalanced[0]?.reason).toContain('lost 3 offsets');
  });

  it('holds the last of the entries with one identity', () => {
    const twice = [
      closed(1, { received: 9, stored: 9 }),
      closed(1, { received: 2, duplicates: 2 }),
    ];
    expect(report(streamOf(), { entries: twice })).toMatchObject({ balanced: true });
  });

  it('asks no uplink of a stream that has none, and no arrivals of Headgate’s own', () => {
    const buckets = [open({ received: 2, stored: 2 })];
    expect(report(streamOf({ buckets, forwarded: false })).balanced).toBe(true);
    const alert = [open({ stored: 2, cloudAcked: 2 })];
    expect(report(streamOf({ buckets: alert, takesMessages: false })).balanced).toBe(true);
  });

  it('is about the buckets that end after the time asked for', () => {
    const buckets = [open({ received: 1 }), open({ received: 1, duplicates: 1 }, 5)];
    const found = report(streamOf({ buckets }), { sinceMs: NOON + MINUTE_MS });
    expect(found.buckets).toHaveLength(1);
    expect(found.balanced).toBe(true);
    expect(report(streamOf({ buckets }), { sinceMs: NOON + MINUTE_MS - 1 }).balanced).toBe(false);
  });

  it('compares the books with what the pipeline counted by itself', () => {
    const traffic = { received: 7, answered: 5, booked: 5, inFlight: 2 };
    expect(report(streamOf(), {}, traffic).balanced).toBe(true);
    expect(faults(report(streamOf(), {}, { ...traffic, booked: 4 }))).toEqual([['process', 1]]);
    expect(faults(report(streamOf(), {}, { ...traffic, inFlight: -1 }))).toEqual([['process', -1]]);
  });
});
