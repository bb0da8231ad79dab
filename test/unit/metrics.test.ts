import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { newCounters } from '../../src/base/counters.ts';
import { METRICS, metricsText } from '../../src/metrics.ts';
import { expositionText } from '../../src/ops/exposition.ts';
import type { Status } from '../../src/status.ts';
import { scraped } from '../support/scraped.ts';

const log: Status['log']['telemetry'] = {
  id: '01HV',
  state: 'durable',
  lastError: undefined,
  bytesWritten: 4_096,
  payloadBytes: 1_000,
  commits: 3,
  attempts: 3,
  isCommitting: false,
  pendingBytes: 7,
  segments: 2,
  sizeBytes: 8_388_608,
  tornBytes: 19,
  corruptBlocks: 23,
  lost: [],
};

/** A gateway without an uplink that has just been started: much is not known. */
const BARE: Status = {
  ...newCounters(),
  gateway: 'site-7',
  version: '0.1.0',
  pid: 1,
  uptimeSeconds: 12,
  health: 'ok',
  backlog: 31,
  expired: 29,
  bytesWritten: 8_192,
  stateBytesWritten: 300,
  flash: {
    writtenTodayBytes: 11,
    payloadTodayBytes: 13,
    projectedBytesPerDay: 17,
    budgetBytesPerDay: 0,
    overBudget: false,
    lingerMs: 5,
  },
  rssBytes: 9e7,
  mqtt: { host: '127.0.0.1', port: 1883, connections: 4 },
  uplink: { link: 'off' },
  alertLine: 'logged',
  activeAlerts: 1,
  dedupIds: 50,
  dedup: { storedIds: 60, devices: 3, resets: 1 },
  detect: {
    series: 6,
    unwatched: 2,
    unheard: 3,
    hot: 5,
    waiting: 1,
    learning: 2,
    leastLearned: 0.62,
  },
  windows: { series: 5, idle: 3, unkept: 4, late: 7, bytes: 4096 },
  audit: { openBuckets: 2, closedBuckets: 9 },
  log: { telemetry: log, events: { ...log, id: '01HW' } },
};

/** Everything that may be absent is there. */
const FULL: Status = {
  ...BARE,
  flash: {
    ...BARE.flash,
    amplification: 2.5,
    budgetBytesPerDay: 1e8,
    overBudget: true,
    lifeYears: 2,
  },
  uplink: {
    link: 'up',
    sinceSeconds: 30,
    stuck: [{ stream: 'alerts', reason: 'no right to "it"' }],
    metered: true,
    recordsPerSecond: 12.5,
    backlogAgeSeconds: 90,
    etaSeconds: 7,
    sentBytes: 5_000,
    bytesPerRecord: 12.1,
    mbPerDayOf100Sensors: 104.5,
  },
  audit: { ...BARE.audit, lastClosed: { stream: 'readings', bucketStart: 1_767_225_600_500 } },
};

describe('the text', () => {
  const family = { name: 'a_total', type: 'counter', help: 'All.' } as const;

  it('has a line for what it means, one for the type, and one a sample', () => {
    const samples = [{ value: 3 }, { labels: { stream: 'readings', p: '0' }, value: 1.5 }];
    const [help, type, ...lines] = expositionText([{ ...family, samples }]).split('\n');
    expect([help, type]).toEqual(['# HELP a_total All.', '# TYPE a_total counter']);
    expect(lines).toEqual(['a_total 3', 'a_total{stream="readings",p="0"} 1.5', '']);
  });

  it('escapes what would end a value or a line', () => {
    const samples = [{ labels: { gateway: 'a"b\\n\nc' }, value: 1 }];
    const [help, , sample] = expositionText([
      { ...family, help: 'A \\ and\n"it".', samples },
    ]).split('\n');
    expect(help).toBe('# HELP a_total A \\\\ and\\n"it".');
    expect(sample).toBe('a_total{gateway="a\\"b\\\\n\\nc"} 1');
    expect(scraped(`${sample}\n`).get('a_total{gateway=a"b\\n\nc}')).toBe(1);
  });

  it.each([undefined, Number.NaN, Number.POSITIVE_INFINITY, -Number.POSITIVE_INFINITY])(
    'leaves out a sample of %s, and a metric that has no other',
    (value) => {
      expect(expositionText([{ ...family, samples: [{ value }] }])).toBe('');
      const both = expositionText([
        {
          ...family,
          samples: [
            { labels: { p: '0' }, value },
            { labels: { p: '1' }, value: 0 },
          ],
        },
      ]);
      expect(scraped(both)).toEqual(new Map([['a_total{p=1}', 0]]));
    },
  );
});

describe('the metrics', () => {
  it('of a gateway of which all is known are every one that there is', () => {
    const text = metricsText(FULL);
    const typed = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name);
    expect(typed).toEqual(METRICS.map(({ name }) => name));
    expect(text).not.toMatch(/undefined|null|NaN|Infinity/);
  });

  it('are in base units', () => {
    const values = scraped(metricsText(FULL));
    expect(Object.fromEntries(values)).toMatchObject({
      'headgate_build_info{version=0.1.0,gateway=site-7}': 1,
      headgate_flash_linger_seconds: 0.005,
      headgate_flash_life_seconds: 2 * 365.25 * 86_400,
      headgate_flash_over_budget: 1,
      headgate_flash_budget_bytes_per_day: 1e8,
      headgate_uplink_up: 1,
      headgate_uplink_metered: 1,
      headgate_uplink_stuck_streams: 1,
      'headgate_uplink_stream_stuck{stream=alerts}': 1,
      headgate_uplink_records_per_second: 12.5,
      headgate_uplink_bytes_per_day_of_100_sensors: 104_500_000,
      headgate_audit_last_closed_timestamp_seconds: 1_767_225_600.5,
      'headgate_log_size_bytes{store=events}': 8_388_608,
    });
  });

  it('each have their own figure of the status', () => {
    expect(Object.fromEntries(scraped(metricsText(FULL)))).toMatchObject({
      headgate_uptime_seconds: 12,
      headgate_resident_memory_bytes: 9e7,
      headgate_mqtt_connections: 4,
      headgate_backlog_records: 31,
      headgate_expired_total: 29,
      headgate_uplink_state_seconds: 30,
      headgate_uplink_backlog_age_seconds: 90,
      headgate_uplink_eta_seconds: 7,
      headgate_uplink_sent_bytes_total: 5_000,
      headgate_uplink_bytes_per_record: 12.1,
      'headgate_log_segments{store=telemetry}': 2,
      'headgate_log_pending_bytes{store=telemetry}': 7,
      'headgate_log_written_bytes_total{store=telemetry}': 4_096,
      'headgate_log_payload_bytes_total{store=telemetry}': 1_000,
      'headgate_log_commits_total{store=telemetry}': 3,
      'headgate_log_torn_bytes{store=telemetry}': 19,
      'headgate_log_corrupt_blocks{store=telemetry}': 23,
      headgate_state_written_bytes_total: 300,
      headgate_flash_written_today_bytes: 11,
      headgate_flash_payload_today_bytes: 13,
      headgate_flash_amplification_ratio: 2.5,
      headgate_flash_projected_bytes_per_day: 17,
      headgate_active_alerts: 1,
      headgate_detect_series: 6,
      headgate_detect_learning_series: 2,
      headgate_detect_unwatched_total: 2,
      headgate_detect_unheard_total: 3,
      headgate_dedup_ids: 50,
      headgate_dedup_stored_ids: 60,
      headgate_dedup_devices: 3,
      headgate_dedup_resets_total: 1,
      headgate_audit_open_buckets: 2,
      headgate_audit_closed_buckets_total: 9,
    });
  });

  it.each(Object.keys(newCounters()))('count what the status counts: %s', (field) => {
    const name = field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const values = scraped(metricsText({ ...BARE, [field]: 4_711 }));
    expect(values.get(`headgate_${name}_total`)).toBe(4_711);
  });

  it('that are not known are left out: no uplink, no budget, no payload yet', () => {
    const names = [...scraped(metricsText(BARE)).keys()];
    const absent = METRICS.map(({ name }) => name).filter(
      (name) => !names.some((one) => one.split('{')[0] === name),
    );
    expect(absent.map((name) => name.replace('headgate_', '')).sort()).toEqual([
      'audit_last_closed_timestamp_seconds',
      'flash_amplification_ratio',
      'flash_budget_bytes_per_day',
      'flash_life_seconds',
      'flash_over_budget',
      'uplink_backlog_age_seconds',
      'uplink_bytes_per_day_of_100_sensors',
      'uplink_bytes_per_record',
      'uplink_eta_seconds',
      'uplink_metered',
      'uplink_records_per_second',
      'uplink_sent_bytes_total',
      'uplink_state_seconds',
      'uplink_stream_stuck',
      'uplink_stuck_streams',
      'uplink_up',
    ]);
  });

  it('say of each log whether it takes data, and what damage has taken', () => {
    const lost = [3, 4].map((count) => ({ stream: 'readings', partition: 0, offset: 9, count }));
    const telemetry = { ...log, state: 'stopped' as const, lost };
    const stopped = { ...BARE, health: 'stopped: EIO', log: { ...BARE.log, telemetry } };
    expect(Object.fromEntries(scraped(metricsText(stopped)))).toMatchObject({
      headgate_healthy: 0,
      'headgate_log_durable{store=telemetry}': 0,
      'headgate_log_durable{store=events}': 1,
      'headgate_log_lost_offsets{store=telemetry}': 7,
    });
  });

  it('are 0 while the link is down', () => {
    const uplink = { ...FULL.uplink, link: 'down' as const, metered: false, stuck: [] };
    expect(Object.fromEntries(scraped(metricsText({ ...FULL, uplink })))).toMatchObject({
      headgate_uplink_up: 0,
      headgate_uplink_metered: 0,
      headgate_uplink_stuck_streams: 0,
    });
  });
});

describe('docs/metrics.md', () => {
  const path = fileURLToPath(new URL('../../docs/metrics.md', import.meta.url));
  const rows = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `headgate_'))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([, name = '', type = '', unit = '', labels = '', meaning = '']) => {
      return { name: name.replaceAll('`', ''), type, unit, labels, meaning };
    });

  it('has a row for each metric, in their order, with its type, and no other', () => {
    const shown = rows.map(({ name, type }) => ({ name, type }));
    expect(shown).toEqual(METRICS.map(({ name, type }) => ({ name, type })));
  });

  it('has the labels that each one bears, and a unit that its name ends in', () => {
    for (const { name, unit, labels, meaning } of rows) {
      const [sample] = [...scraped(metricsText(FULL)).keys()].filter(
        (one) => one.split('{')[0] === name,
      );
      const borne = [...(sample ?? '').matchAll(/[{,](\w+)=/g)].map(([, label]) => `\`${label}\``);
      expect(labels, name).toBe(borne.join(', '));
      const own = /_(seconds|bytes|ratio)(_total)?$/.exec(name)?.[1];
      if (own !== undefined && !name.includes('_per_')) expect(unit, name).toBe(own);
      expect(unit, name).not.toBe('');
      expect(meaning, name).toMatch(/^.{10,}\.$/);
    }
  });
});
