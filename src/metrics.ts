import type { Counters } from './base/counters.ts';
import { expositionText, type Family, type Sample } from './ops/exposition.ts';
import type { Status } from './status.ts';

/** One metric: how a status gives it. docs/metrics.md has the same ones. */
export interface Metric extends Omit<Family, 'samples'> {
  readonly of: (status: Status) => number | undefined | readonly Sample[];
}

type LogStatus = Status['log']['telemetry'];

const DAYS_PER_YEAR = 365.25;
const DAY_SECONDS = 86_400;

function counter(name: string, help: string, of: Metric['of']): Metric {
  return { name: `headgate_${name}_total`, type: 'counter', help, of };
}

function gauge(name: string, help: string, of: Metric['of']): Metric {
  return { name: `headgate_${name}`, type: 'gauge', help, of };
}

/** A sample for each of the two logs. */
function perStore(of: (log: LogStatus) => number): Metric['of'] {
  return ({ log }) =>
    Object.entries(log).map(([store, one]) => ({ labels: { store }, value: of(one) }));
}

function flag(is: boolean | undefined): number | undefined {
  return is === undefined ? undefined : Number(is);
}

/** In a smaller unit, whole: the status has rounded it before. */
function inUnits(value: number | undefined, units: number): number | undefined {
  return value === undefined ? undefined : Math.round(value * units);
}

/** Names and meanings of the counters: one that is added has to be named here. */
const COUNTERS: Readonly<Record<keyof Counters, readonly [name: string, help: string]>> = {
  received: ['received', 'Publishes to topics of a stream, retransmits included.'],
  duplicates: ['duplicates', 'Retransmits that were acknowledged and not stored again.'],
  stored: ['stored', 'Readings durable in their stream.'],
  deadLettered: ['dead_lettered', 'Messages that are no reading, durable in dead-letter.'],
  rejected: ['rejected', 'Messages that could not be stored and were not acknowledged.'],
  lostAfterAck: ['lost_after_ack', 'Readings acknowledged (ack: received) and then not stored.'],
  unrouted: ['unrouted', 'Publishes on topics of no stream.'],
  sparkplugGaps: ['sparkplug_gaps', 'Messages of Sparkplug edge nodes that never came.'],
  forwarded: ['forwarded', 'Records that the cloud acknowledged.'],
  parked: ['parked', 'Records that the cloud did not take: among the dead letters.'],
  downlinked: ['downlinked', 'Messages of the cloud that were published here.'],
  downlinkRefused: ['downlink_refused', 'Messages of the cloud that were published nowhere.'],
  alerts: ['alerts', 'Alerts begun.'],
};

const PROCESS: readonly Metric[] = [
  gauge('build_info', 'Always 1: the version, and whose gateway it is.', (status) => {
    const { version, gateway } = status;
    return [{ labels: { version, gateway }, value: 1 }];
  }),
  gauge('uptime_seconds', 'Since the start of the daemon.', (status) => status.uptimeSeconds),
  gauge('healthy', '1: readings are acknowledged. 0: a log takes no data.', ({ health }) =>
    flag(health === 'ok'),
  ),
  gauge('resident_memory_bytes', 'Memory of the process.', (status) => status.rssBytes),
  gauge('mqtt_connections', 'Clients that are connected.', ({ mqtt }) => mqtt.connections),
];

const LOGS: readonly Metric[] = [
  gauge('log_info', 'Always 1: the id of the log that a store has.', ({ log }) =>
    Object.entries(log).map(([store, { id }]) => ({ labels: { store, log: id }, value: 1 })),
  ),
  gauge(
    'log_durable',
    '1: what is appended becomes durable. 0: it does not.',
    perStore(({ state }) => Number(state === 'durable')),
  ),
  gauge(
    'log_size_bytes',
    'Of the files, with one that is ready for the next segment.',
    perStore((log) => log.sizeBytes),
  ),
  gauge(
    'log_segments',
    'Segments, with the active one.',
    perStore((log) => log.segments),
  ),
  gauge(
    'log_pending_bytes',
    'On their way to flash, not acknowledged yet.',
    perStore((log) => log.pendingBytes),
  ),
  counter(
    'log_written_bytes',
    'Written: blocks, padding, headers and indexes.',
    perStore((log) => log.bytesWritten),
  ),
  counter(
    'log_payload_bytes',
    'Payloads that became durable, as they came.',
    perStore((log) => log.payloadBytes),
  ),
  counter(
    'log_commits',
    'Commits: one write and one sync each.',
    perStore((log) => log.commits),
  ),
  gauge(
    'log_torn_bytes',
    'Unfinished, and cut off at the start: normal after a power cut.',
    perStore((log) => log.tornBytes),
  ),
  gauge(
    'log_corrupt_blocks',
    'Damaged blocks that the start found.',
    perStore((log) => log.corruptBlocks),
  ),
  gauge(
    'log_lost_offsets',
    'Offsets that damage has taken, as far as it was met.',
    perStore(({ lost }) => lost.reduce((sum, { count }) => sum + count, 0)),
  ),
  counter('state_written_bytes', 'Written to the state store: keys and values, once.', (status) => {
    return status.stateBytesWritten;
  }),
];

const FLASH: readonly Metric[] = [
  gauge('flash_written_today_bytes', 'Written in the last 24 hours of running.', ({ flash }) => {
    return flash.writtenTodayBytes;
  }),
  gauge('flash_payload_today_bytes', 'Payloads made durable in that time.', ({ flash }) => {
    return flash.payloadTodayBytes;
  }),
  gauge('flash_amplification_ratio', 'Written per byte of payload in that time.', ({ flash }) => {
    return flash.amplification;
  }),
  gauge('flash_projected_bytes_per_day', 'Written in a day at that rate.', ({ flash }) => {
    return flash.projectedBytesPerDay;
  }),
  gauge('flash_life_seconds', 'Until a new card is worn out at that rate.', ({ flash }) =>
    inUnits(flash.lifeYears, DAYS_PER_YEAR * DAY_SECONDS),
  ),
  gauge('flash_budget_bytes_per_day', 'May be written in a day.', ({ flash }) =>
    flash.budgetBytesPerDay === 0 ? undefined : flash.budgetBytesPerDay,
  ),
  gauge('flash_over_budget', '1: more is written than the budget allows.', ({ flash }) =>
    flash.budgetBytesPerDay === 0 ? undefined : Number(flash.overBudget),
  ),
  gauge('flash_linger_seconds', 'So long a reading waits for company, at most.', ({ flash }) => {
    return flash.lingerMs / 1000;
  }),
];

const UPLINK: readonly Metric[] = [
  gauge('backlog_records', 'On flash, and not acknowledged by the cloud.', (status) => {
    return status.backlog;
  }),
  counter('expired', 'Records that retention dropped before the cloud had them.', (status) => {
    return status.expired;
  }),
  gauge(
    'uplink_up',
    '1: there is a link to the cloud. 0: there is none.',
    ({ uplink: { link } }) => (link === 'off' ? undefined : Number(link === 'up')),
  ),
  gauge('uplink_state_seconds', 'For how long headgate_uplink_up has been so.', ({ uplink }) => {
    return uplink.sinceSeconds;
  }),
  gauge('uplink_metered', '1: the link costs money at this hour.', ({ uplink }) =>
    flag(uplink.metered),
  ),
  gauge('uplink_stuck_streams', 'Streams that get no further.', ({ uplink }) => {
    return uplink.stuck?.length;
  }),
  gauge('uplink_stream_stuck', '1: this stream gets no further.', ({ uplink }) =>
    uplink.stuck?.map(({ stream }) => ({ labels: { stream }, value: 1 })),
  ),
  gauge(
    'uplink_records_per_second',
    'Acknowledged by the cloud, over the last half minute.',
    ({ uplink }) => uplink.recordsPerSecond,
  ),
  gauge('uplink_backlog_age_seconds', 'Since the oldest waiting record came.', ({ uplink }) => {
    return uplink.backlogAgeSeconds;
  }),
  gauge('uplink_eta_seconds', 'Until the backlog is gone at this rate.', ({ uplink }) => {
    return uplink.etaSeconds;
  }),
  counter('uplink_sent_bytes', 'Sent, with what the network adds around it.', ({ uplink }) => {
    return uplink.sentBytes;
  }),
  gauge('uplink_bytes_per_record', 'Sent for each record acknowledged.', ({ uplink }) => {
    return uplink.bytesPerRecord;
  }),
  gauge(
    'uplink_bytes_per_day_of_100_sensors',
    'Sent in a day for 100 sensors with a record a second each.',
    ({ uplink }) => inUnits(uplink.mbPerDayOf100Sensors, 1e6),
  ),
];

const STAGES: readonly Metric[] = [
  gauge('active_alerts', 'Alerts that have not ended.', (status) => status.activeAlerts),
  gauge('detect_series', 'Series (device and metric) that are watched.', ({ detect }) => {
    return detect.series;
  }),
  gauge('detect_learning_series', 'Series in memory that are still learnt.', ({ detect }) => {
    return detect.learning;
  }),
  gauge('windows_series', 'Series with rolling windows.', ({ windows }) => windows?.series),
  gauge('windows_idle_series', 'Series of which the last value is kept.', ({ windows }) => {
    return windows?.idle;
  }),
  gauge('windows_bytes', 'Memory of the rolling windows.', ({ windows }) => windows?.bytes),
  counter('windows_unkept', 'Values of series without windows.', ({ windows }) => windows?.unkept),
  counter('windows_late', 'Values too old for every window.', ({ windows }) => windows?.late),
  counter('detect_unwatched', 'Values of series that are not watched.', ({ detect }) => {
    return detect.unwatched;
  }),
  counter('detect_unheard', 'Readings of devices whose silence is not noticed.', ({ detect }) => {
    return detect.unheard;
  }),
  gauge('dedup_ids', 'Message ids in memory.', (status) => status.dedupIds),
  gauge('dedup_stored_ids', 'Message ids in the state store.', ({ dedup }) => dedup.storedIds),
  gauge('dedup_devices', 'Devices in memory.', ({ dedup }) => dedup.devices),
  counter('dedup_resets', 'Counters of devices taken to have begun again.', ({ dedup }) => {
    return dedup.resets;
  }),
  gauge('audit_open_buckets', 'Buckets of the books that are open.', ({ audit }) => {
    return audit.openBuckets;
  }),
  counter('audit_closed_buckets', 'Buckets of the books that were closed.', ({ audit }) => {
    return audit.closedBuckets;
  }),
  gauge(
    'audit_last_closed_timestamp_seconds',
    'Start of the bucket that was closed last, since 1970.',
    ({ audit }) =>
      audit.lastClosed === undefined ? undefined : audit.lastClosed.bucketStart / 1000,
  ),
];

/** Every metric that there is. */
export const METRICS: readonly Metric[] = [
  ...PROCESS,
  ...Object.entries(COUNTERS).map(([field, [name, help]]) =>
    counter(name, help, (status) => status[field as keyof Counters]),
  ),
  ...UPLINK,
  ...LOGS,
  ...FLASH,
  ...STAGES,
];

/** What `GET /metrics` answers: the figures of a status in Prometheus's text format. */
export function metricsText(status: Status): string {
  return expositionText(
    METRICS.map(({ of, ...metric }) => {
      const found = of(status);
      const samples = typeof found === 'object' ? found : [{ value: found }];
      return { ...metric, samples };
    }),
  );
}
