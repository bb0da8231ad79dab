import { expect } from 'vitest';
import { bucketOf } from '../../src/audit/bucket.ts';
import type { Counts } from '../../src/audit/counts.ts';
import { type AuditEntry, entryId, parseEntry } from '../../src/audit/entry.ts';
import type { AuditReport } from '../../src/audit/report.ts';
import type { Envelope } from '../../src/uplink/envelope.ts';
import { headgate } from './gateway-process.ts';
import { identityOf } from './identity.ts';
import { until } from './until.ts';

/** What `headgate audit` says of a data folder, and its exit code. */
export async function auditOf(
  folder: string,
  args: readonly string[] = [],
): Promise<{ code: number | null; report: AuditReport; text: string }> {
  const { code, stdout, stderr } = await headgate(['audit', '--json', '--data', folder, ...args]);
  const text = stdout + stderr;
  expect(stdout, text).toMatch(/^\{"balanced"/);
  return { code, report: JSON.parse(stdout) as AuditReport, text };
}

/** Until the cloud has everything, the books among it. */
export async function allClosed(folder: string): Promise<AuditReport> {
  let last: AuditReport | undefined;
  await until(
    'every bucket is closed',
    async () => {
      const { report, code, text } = await auditOf(folder);
      // At each moment, whatever is under way.
      expect(code, text).toBe(0);
      last = report;
      return report.buckets.every(({ state, backlog }) => state === 'closed' && backlog === 0);
    },
    60_000,
  );
  if (last === undefined) throw new Error('nothing was asked');
  return last;
}

type Sums = Counts & { backlog: number };

export function sumsOf({ totals }: AuditReport, stream = 'readings'): Sums {
  const sums = totals[stream];
  if (sums === undefined) throw new Error(`no books of ${stream}`);
  return sums;
}

/** The cloud's own books: deliveries, identities, and these by bucket. */
export function cloudBooks(heard: readonly Envelope[], bucketMs: number, stream = 'readings') {
  const deliveries = heard.filter((one) => one.stream === stream);
  const unique = new Map(deliveries.map((one) => [identityOf(one), one]));
  const byBucket = new Map<number, number>();
  for (const { deviceTime: deviceTimeMs, receivedAt: receivedAtMs } of unique.values()) {
    const start = bucketOf({ deviceTimeMs, receivedAtMs }, { bucketMs, mergedBeforeMs: 0 });
    byBucket.set(start, (byBucket.get(start) ?? 0) + 1);
  }
  return { deliveries: deliveries.length, unique: unique.size, byBucket };
}

/** What the entries that came to the cloud say was acknowledged, by bucket. */
export function ackedByEntries(heard: readonly Envelope[], stream = 'readings') {
  const entries = new Map<string, AuditEntry>();
  for (const { stream: of, payload } of heard) {
    const entry = of === 'audit' ? parseEntry(Buffer.from(payload)) : undefined;
    if (entry?.stream === stream) entries.set(entryId(entry), entry);
  }
  const acked = new Map<number, number>();
  for (const { bucketStart, counts } of entries.values()) {
    acked.set(bucketStart, (acked.get(bucketStart) ?? 0) + counts.cloudAcked);
  }
  return acked;
}
