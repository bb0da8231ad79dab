import type { Counters } from './base/counters.ts';
import type { AuditStatus } from './bookkeeper.ts';
import type { DedupKeeper } from './dedup-keeper.ts';
import type { Detector } from './detect/detector.ts';
import type { Forwarding } from './forwarding.ts';
import type { Broker } from './ingest/broker.ts';
import type { JournalStatus } from './log/journal-status.ts';
import type { Stores } from './stores.ts';
import type { UplinkStatus } from './uplink/uplink.ts';
import type { DrainStatus } from './uplink-drain.ts';
import { VERSION } from './version.ts';
import type { FlashStatus } from './wear.ts';
import type { WindowKeeper, WindowsStatus } from './window-keeper.ts';

interface UplinkSummary extends Partial<DrainStatus> {
  readonly link: 'up' | 'down' | 'off';
  /** For how long it has been so. */
  readonly sinceSeconds?: number;
  readonly lastError?: string;
  /** Streams that get no further, and why. */
  readonly stuck?: UplinkStatus['stuck'];
  /** The link costs money at this hour: the backlog waits, and maybe more. */
  readonly metered?: boolean;
}

interface LogStatus extends JournalStatus {
  /** Which log: `log` in what the uplink sends. */
  readonly id: string;
}

interface DedupStatus {
  /** Ids in the state store: those of the windows that memory has no room for. */
  readonly storedIds: number;
  /** Devices in memory. */
  readonly devices: number;
  /** Counters without a boot id that were taken to have started again since the start. */
  readonly resets: number;
}

/** What `headgate status --json` prints. Names are stable: others script against them. */
export interface Status extends Counters {
  readonly gateway: string;
  readonly version: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  /** `ok`, or why readings are not being acknowledged. */
  readonly health: string;
  /** Records on flash that the cloud has not acknowledged. 0 without an uplink. */
  readonly backlog: number;
  /** Unforwarded records that retention dropped since the start. */
  readonly expired: number;
  /** Written to the log since the start: blocks, padding, headers and indexes. */
  readonly bytesWritten: number;
  /** Written to the state store since the start: keys and values, once. */
  readonly stateBytesWritten: number;
  /** What that means for the card. */
  readonly flash: FlashStatus;
  readonly rssBytes: number;
  readonly mqtt: { readonly host: string; readonly port: number; readonly connections: number };
  readonly uplink: UplinkSummary;
  readonly alertLine: string;
  readonly activeAlerts: number;
  /** Ids in memory. */
  readonly dedupIds: number;
  readonly dedup: DedupStatus;
  readonly detect: {
    /** Series (device and metric) that are watched. */
    readonly series: number;
    /** Values since the start that were not: `detect.maxSeries`, or their names. */
    readonly unwatched: number;
    /** Readings since the start of devices beyond `detect.maxSeries`: silence is not noticed. */
    readonly unheard: number;
    /** States that are ready in memory; states that wait there, as bytes, for a checkpoint. */
    readonly hot: number;
    readonly waiting: number;
    /** Of those in memory: still learnt, and how far the one is that has least, 0 to 1. */
    readonly learning: number;
    readonly leastLearned: number;
  };
  /** Absent where there are none. */
  readonly windows?: WindowsStatus;
  readonly audit: AuditStatus;
  readonly log: { readonly telemetry: LogStatus; readonly events: LogStatus };
}

export interface StatusParts {
  readonly gateway: string;
  readonly startedMonoMs: number;
  readonly nowMonoMs: number;
  readonly counters: Counters;
  readonly stores: Stores;
  readonly broker: Broker;
  readonly host: string;
  readonly forwarding: Forwarding | undefined;
  readonly expired: number;
  readonly alertLine: string;
  readonly activeAlerts: number;
  readonly unheard: number;
  readonly keepers: readonly DedupKeeper[];
  readonly detectors: readonly Detector[];
  readonly windows: WindowKeeper | undefined;
  readonly stateBytesWritten: number;
  readonly flash: FlashStatus;
  readonly audit: AuditStatus;
}

function healthOf(...journals: readonly JournalStatus[]): string {
  const stopped = journals.find(({ state }) => state !== 'durable');
  return stopped === undefined ? 'ok' : `${stopped.state}: ${stopped.lastError ?? ''}`;
}

function uplinkOf({ forwarding, nowMonoMs }: StatusParts): UplinkSummary {
  if (forwarding === undefined) return { link: 'off' };
  const { link, sinceMonoMs, lastError, stuck, ...drain } = forwarding.status();
  const sinceSeconds = Math.round((nowMonoMs - sinceMonoMs) / 1000);
  const why = lastError === undefined ? {} : { lastError };
  return { link, sinceSeconds, ...why, stuck, ...drain };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

function dedupOf(keepers: readonly DedupKeeper[]): DedupStatus {
  const sizes = keepers.map(({ dedup }) => dedup.size());
  return {
    storedIds: sum(keepers.map(({ storedIds }) => storedIds)),
    devices: sum(sizes.map(({ devices }) => devices)),
    resets: sum(sizes.map(({ resets }) => resets)),
  };
}

export function statusOf(parts: StatusParts): Status {
  const { counters, stores, broker, forwarding } = parts;
  const telemetry = stores.telemetry.status();
  const events = stores.events.status();
  return {
    gateway: parts.gateway,
    version: VERSION,
    pid: process.pid,
    uptimeSeconds: Math.round((parts.nowMonoMs - parts.startedMonoMs) / 1000),
    health: healthOf(telemetry, events),
    ...counters,
    backlog: forwarding?.backlog() ?? 0,
    expired: parts.expired,
    bytesWritten: telemetry.bytesWritten + events.bytesWritten,
    stateBytesWritten: parts.stateBytesWritten,
    flash: parts.flash,
    rssBytes: process.memoryUsage.rss(),
    mqtt: { host: parts.host, port: broker.port, connections: broker.connections() },
    uplink: uplinkOf(parts),
    alertLine: parts.alertLine,
    activeAlerts: parts.activeAlerts,
    detect: {
      series: sum(parts.detectors.map(({ watched }) => watched)),
      unwatched: sum(parts.detectors.map(({ unwatched }) => unwatched)),
      unheard: parts.unheard,
      hot: sum(parts.detectors.map(({ inMemory }) => inMemory.hot)),
      waiting: sum(parts.detectors.map(({ inMemory }) => inMemory.packed)),
      learning: sum(parts.detectors.map(({ learning }) => learning.series)),
      leastLearned: Math.min(1, ...parts.detectors.map(({ learning }) => learning.least)),
    },
    ...(parts.windows === undefined ? {} : { windows: parts.windows.status() }),
    audit: parts.audit,
    dedupIds: sum(parts.keepers.map(({ dedup }) => dedup.size().ids)),
    dedup: dedupOf(parts.keepers),
    log: {
      telemetry: { id: stores.telemetry.logId, ...telemetry },
      events: { id: stores.events.logId, ...events },
    },
  };
}
