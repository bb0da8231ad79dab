import { describe, expect, it } from 'vitest';
import { alertTable, ReplayChart, replayCsv } from '../../../src/cli/replay-format.ts';
import { ReplayReport, type ReplayRow } from '../../../src/cli/replay-report.ts';
import type { ReplayedEvent, ReplayedValue } from '../../../src/cli/replay-run.ts';
import { xmlFault } from '../../support/xml.ts';

const T = Date.parse('2026-05-04T10:00:00Z');
const cause = { stream: 'readings', partition: 0, offset: 7 };

function valueAt(value: number, more: Partial<ReplayedValue> = {}): ReplayedValue {
  return {
    ...{ device: 'd1', metric: 't', value, low: 0, high: 10, score: 0.1, state: 'normal' },
    ...more,
  };
}

function eventOf(kind: 'begin' | 'end', more: Partial<ReplayedEvent> = {}): ReplayedEvent {
  const { device, metric, value, low, high, score } = valueAt(99, { score: 0.97 });
  return {
    ...{ id: `${kind}:d1/t`, kind, device, metric, value, low, high, score, cause },
    ...{ source: 'learned', runMs: 0, suppressed: 0, reason: 't of d1 is 99, expected 0 to 10' },
    ...more,
  };
}

/** A report that is told of a second a step, and of the rows that it gave. */
function reported(device?: string, metric?: string) {
  const rows: ReplayRow[] = [];
  const report = new ReplayReport({ device, metric, onRow: (row) => rows.push(row) });
  let second = 0;
  const take = (value: ReplayedValue | undefined, event?: ReplayedEvent, isShown = true) => {
    const runMs = second * 1_000;
    const at = { timeMs: T + runMs, runMs, isShown };
    second += 1;
    const dated = event === undefined ? {} : { event: { ...event, runMs } };
    report.take({ ...(value === undefined ? {} : { value }), ...dated }, at);
  };
  return { report, rows, take };
}

const anomalous = valueAt(99, { state: 'anomalous', score: 0.97 });

describe('rows and alerts', () => {
  it('a row says what its value means for the alert', () => {
    const { report, rows, take } = reported();
    take(valueAt(5, { state: 'learning' }));
    take(anomalous, eventOf('begin'));
    take(valueAt(5));
    take(valueAt(5), eventOf('end'));
    take(valueAt(5));
    expect(rows.map(({ alert }) => alert)).toEqual(['', 'begin', 'active', 'end', '']);
    expect(rows[1]).toMatchObject({
      value: 99,
      timeMs: T + 1_000,
      reason: expect.stringContaining('expected'),
    });
    expect(report.alerts()).toEqual([
      {
        ...{ alert: 'begin:d1/t', device: 'd1', metric: 't', began: T + 1_000, ended: T + 3_000 },
        ...{ lastedMs: 2_000, value: 99, expected: [0, 10], score: 0.97, cause, suppressed: 0 },
        reason: 't of d1 is 99, expected 0 to 10',
      },
    ]);
    expect(report.totals()).toEqual({
      ...{ values: 5, learning: 1, anomalous: 1, series: 1, alerts: 1, active: 0 },
    });
  });

  it('of one series what is learned and a limit last beside each other', () => {
    const { report, rows, take } = reported();
    const limit = { source: 'limit:hot', id: 'begin:d1/t/limit:hot' };
    take(anomalous, eventOf('begin'));
    take(undefined, eventOf('begin', limit));
    take(valueAt(5), eventOf('end'));
    expect(report.alerts().map(({ alert, ended }) => [alert, ended])).toEqual([
      ['begin:d1/t', T + 2_000],
      ['begin:d1/t/limit:hot', undefined],
    ]);
    take(valueAt(5));
    take(undefined, eventOf('end', limit));
    take(valueAt(5));
    expect(rows.map(({ alert }) => alert)).toEqual(['begin', 'end', 'active', '']);
    expect(report.totals()).toMatchObject({ alerts: 2, active: 0 });
  });

  it('a bound that there is none of is null, as in the stream alerts', () => {
    const { report, take } = reported();
    take(anomalous, eventOf('begin', { low: -Number.MAX_VALUE }));
    expect(report.alerts()).toMatchObject([{ expected: [null, 10] }]);
  });

  it('an alert that does not end lasts until the last value of its series', () => {
    const { report, take } = reported();
    take(anomalous, eventOf('begin'));
    take(anomalous);
    take(valueAt(5, { device: 'd2' }));
    const [alert] = report.alerts();
    expect(alert).toMatchObject({ began: T, lastedMs: 1_000 });
    expect(alert).not.toHaveProperty('ended');
    expect(report.totals()).toMatchObject({ alerts: 1, active: 1, series: 2 });
  });

  it('what is only learnt from is not shown, but for alerts that reach into the rest', () => {
    const { report, rows, take } = reported();
    take(anomalous, eventOf('begin'), false);
    take(valueAt(5), eventOf('end'), false);
    take(anomalous, eventOf('begin', { id: 'begin:2' }), false);
    take(anomalous, undefined, true);
    take(valueAt(5), eventOf('end'), true);
    expect(rows.map(({ alert }) => alert)).toEqual(['active', 'end']);
    expect(report.alerts()).toMatchObject([{ alert: 'begin:2', began: T + 2_000 }]);
    expect(report.totals()).toMatchObject({ values: 2, alerts: 1, active: 0 });
  });

  it('only one device or metric is shown', () => {
    const { report, rows, take } = reported('d1', 'h');
    take(anomalous, eventOf('begin'));
    take(valueAt(1, { metric: 'h' }));
    take(valueAt(1, { metric: 'h', device: 'd2' }));
    expect(rows).toMatchObject([{ device: 'd1', metric: 'h', alert: '' }]);
    expect(report.totals()).toMatchObject({ values: 1, series: 1, alerts: 0 });
  });

  it('an alert that no value makes is listed, with its fault', () => {
    const { report, rows, take } = reported();
    take(undefined, eventOf('begin', { fault: 'silence', severity: 'critical' }));
    take(valueAt(5), eventOf('end'));
    expect(rows.map(({ alert }) => alert)).toEqual(['end']);
    expect(report.alerts()).toMatchObject([{ fault: 'silence', severity: 'critical' }]);
  });
});

describe('an alert of a silence', () => {
  const silence = (kind: 'begin' | 'end', runMs: number) => ({
    event: eventOf(kind, { metric: 'silence', source: 'silence', fault: 'silence', runMs }),
  });
  const at = (runMs: number) => ({ timeMs: T + runMs, runMs, isShown: true });
  const options = { device: undefined, metric: undefined, onRow: () => {} };

  it('began when the daemon told it, not with the record that is read next', () => {
    const report = new ReplayReport(options);
    report.take(silence('begin', 60_000), at(600_000));
    report.take(silence('end', 600_000), at(600_000));
    expect(report.alerts()).toMatchObject([
      { began: T + 60_000, ended: T + 600_000, lastedMs: 540_000 },
    ]);
  });

  it('that does not end lasts until the last record, of whatever device', () => {
    const report = new ReplayReport(options);
    report.reach(90_000);
    report.take(silence('begin', 60_000), at(90_000));
    report.reach(300_000);
    expect(report.alerts()).toMatchObject([{ began: T + 60_000, lastedMs: 240_000 }]);
  });
});

const alertOf = (more: Partial<ReturnType<ReplayReport['alerts']>[number]>) => ({
  ...{ alert: 'a', device: 'd1', metric: 't', began: T, ended: T, lastedMs: 0, value: 1, cause },
  ...{ expected: [0, 1] as const, score: 0.5, suppressed: 0, reason: 'why' },
  ...more,
});

describe('the table', () => {
  it('has an alert a line, and no column that is empty', () => {
    const lines = alertTable([
      alertOf({ lastedMs: 300, score: 12.34 }),
      alertOf({ lastedMs: 90_000, reason: 'a\nb', suppressed: 3 }),
    ]);
    expect(lines).toEqual([
      'BEGAN                     LASTED  SCORE  WHY',
      '2026-05-04T10:00:00.000Z  300 ms  12.3   why',
      '2026-05-04T10:00:00.000Z  90 s    0.500  a\\nb (3 values held back before it)',
    ]);
  });

  it('says what is not over, and what it looks like', () => {
    const { ended: _, ...open } = alertOf({ lastedMs: 5 * 3_600_000, fault: 'drift' });
    const lines = alertTable([open, alertOf({ fault: 'spike', severity: 'info' })]);
    expect(lines[1]).toMatch(/ 5 h\+ +drift +0\.500 /);
    expect(lines[2]).toMatch(/ 0 ms +info spike /);
  });
});

describe('CSV', () => {
  it('quotes what would break it', () => {
    const row = { ...valueAt(1.5, { device: 'a,"b"', fault: 'spike' }), timeMs: T + 0.4 };
    expect(replayCsv({ ...row, alert: 'begin', reason: 'no column' })).toBe(
      `${T},"a,""b""",t,1.5,0,10,0.1,normal,spike,begin`,
    );
  });
});

describe('the chart of many series', () => {
  it('keeps series apart whose names read the same', () => {
    const chart = new ReplayChart('readings');
    const row = { ...valueAt(1), timeMs: T, alert: '' as const };
    chart.add({ ...row, device: 'a / b', metric: 'c' });
    chart.add({ ...row, device: 'a', metric: 'b / c' });
    expect(chart.svg().match(/class="t"/g)).toHaveLength(2);
  });

  it('draws those with the most alerts, and says what it leaves out', () => {
    const chart = new ReplayChart('readings');
    for (let n = 0; n < 300; n++) {
      const row = { ...valueAt(n, { device: `d${n}` }), timeMs: T + n };
      const isWorst = n === 40 || n === 290;
      const begun = { alert: 'begin' as const, reason: 'why' };
      chart.add({ ...row, alert: '', ...(isWorst ? begun : {}) });
    }
    const svg = chart.svg();
    expect(xmlFault(svg)).toBeUndefined();
    expect(svg.match(/class="t"/g)).toHaveLength(24);
    expect(svg.includes('d40 / t')).toBe(true);
    expect(svg.includes('276 more series with 1 alerts are not drawn: --device')).toBe(true);
    expect(svg.includes(`<title>2026-05-04T10:00:00.040Z why</title>`)).toBe(true);
  });
});
