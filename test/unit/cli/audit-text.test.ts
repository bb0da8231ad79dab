import { expect, it } from 'vitest';
import { noCounts } from '../../../src/audit/counts.ts';
import type { AuditReport, ReportRow } from '../../../src/audit/report.ts';
import { printReport } from '../../../src/cli/audit-text.ts';

const NOON = Date.UTC(2026, 4, 4, 12);

const row = (more: Partial<ReportRow>): ReportRow => ({
  ...{ stream: 'readings', bucketStart: NOON, bucketMs: 60_000, state: 'closed', backlog: 0 },
  ...{ isForwarded: true, ...noCounts(), ...more },
});

const report = (more: Partial<AuditReport>): AuditReport => ({
  ...{ balanced: true, buckets: [], totals: {}, unbalanced: [], gaps: [], lostOffsets: [] },
  ...more,
});

function printed(of: AuditReport): string[] {
  const lines: string[] = [];
  printReport(of, { print: (line) => lines.push(line) > 0 });
  return lines;
}

it('is one line a bucket, under its heads, and a verdict', () => {
  const buckets = [
    row({ bucketStart: 0, bucketMs: NOON, received: 7, stored: 7, cloudAcked: 7 }),
    row({ received: 12, duplicates: 2, stored: 10, cloudAcked: 4, backlog: 6, state: 'open' }),
  ];
  const totals = { readings: { ...noCounts(), received: 19, backlog: 6 } };
  const process = { received: 20, answered: 19, booked: 19, inFlight: 1 };
  const [heads = '', merged = '', noon = '', sums = '', ...rest] = printed(
    report({ buckets, totals, process }),
  );
  const cells = (line: string) => line.trim().split(/ +/);
  expect(cells(merged).slice(0, 4)).toEqual(['readings', 'before', '2026-05-04T12:00:00Z', '7']);
  const byHead = new Map(cells(heads).map((head, i) => [head, cells(noon)[i]]));
  expect(Object.fromEntries(byHead)).toMatchObject({
    ...{ STREAM: 'readings', BUCKET: '2026-05-04T12:00:00Z', RECEIVED: '12', REPEATS: '2' },
    ...{ STORED: '10', ACKED: '4', BACKLOG: '6', STATE: 'open' },
  });
  // Right under their heads.
  expect(noon.indexOf(' 12 ') + 3).toBe(heads.indexOf('RECEIVED') + 'RECEIVED'.length);
  expect(sums).toContain('all of these');
  expect(rest).toEqual([
    'in flight: 1 of 20 received since the start',
    'the books balance: 2 buckets',
  ]);
});

it('shows no figures of an uplink that there is not', () => {
  const buckets = [row({ received: 3, stored: 3, notForwarded: 3, isForwarded: false })];
  const totals = { readings: { ...noCounts(), received: 3, backlog: 0 } };
  const [, line = '', , note] = printed(report({ buckets, totals }));
  expect(line.split(/ +/).filter((cell) => cell === '-')).toHaveLength(5);
  expect(note).toBe('  readings is not forwarded');
});

it('names gaps, damage, and each bucket that does not balance, with the reason', () => {
  const gap = (from: number, to: number) => ({ device: 'd1', boot: 'b7', from, to });
  const lines = printed(
    report({
      balanced: false,
      gaps: [{ stream: 'readings', devices: 1, numbers: 3, rows: [gap(4, 5), gap(9, 9)] }],
      lostOffsets: [{ stream: 'readings', partition: 2, offset: 40, count: 3 }],
      unbalanced: [
        { stream: 'readings', bucketStart: NOON, equation: 'stored', difference: 3, reason: 'why' },
        { stream: '', equation: 'process', difference: -1, reason: 'more than came in' },
      ],
    }),
  );
  expect(lines.slice(1)).toEqual([
    'gaps in readings: 3 numbers of 1 device',
    '  d1 boot b7: 4 to 5',
    '  d1 boot b7: 9',
    'damage: readings, partition 2: 3 offsets from 40 on',
    'the books do not balance: 2 faults',
    '  readings 2026-05-04T12:00:00Z: 3 in stored against acknowledged, backlog and expired (why)',
    '  more than came in: -1',
  ]);
});
