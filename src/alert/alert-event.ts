import type { RecordPosition } from '../base/reading.ts';
import type { Fault, Severity, Verdict } from '../base/verdict.ts';

/**
 * What raises an alert: what is learned, a plain limit (`limit:<name>`), the silence of a device
 * (`silence:<name>`: by a limit); or, where many come at once, all of one severity of a device
 * (`flood:<severity>`) or of the site (`site:<severity>`).
 */
export type Source =
  | 'learned'
  | 'silence'
  | `limit:${string}`
  | `silence:${string}`
  | `flood:${Severity}`
  | `site:${Severity}`;

/** Whose alert it is. */
export interface AlertSeries {
  readonly device: string;
  readonly metric: string;
  readonly source: Source;
}

/** The beginning or the end of an alert. */
export interface AlertEvent extends AlertSeries {
  /**
   * From the kind, the series and the reading that caused it: the same whenever that is read again.
   */
  readonly id: string;
  readonly kind: 'begin' | 'end';
  /** Of an end: the id of its beginning. */
  readonly begunId?: string;
  readonly value: number;
  /** 0 to 1. */
  readonly score: number;
  readonly expectedLow: number;
  readonly expectedHigh: number;
  readonly severity: Severity;
  readonly fault: Fault;
  /** One value in about so many is as unusual. */
  readonly oneIn?: number;
  readonly cause: RecordPosition;
  /** Wall clock of the reading with which it began, ms since 1970. */
  readonly sinceMs: number;
  /** The same on the log's run clock, ms: how long it lasted is told by this one. */
  readonly sinceRunMs: number;
  /** Wall clock of this event's reading. */
  readonly atMs: number;
  readonly atRunMs: number;
  /** Anomalous values that a cool-down held back since the last alert of the series. */
  readonly suppressed: number;
  /** Alerts that this one stands for: 1, or more of a flood. */
  readonly count: number;
  /** Of a flood: the first of the metrics or devices. */
  readonly names?: readonly string[];
  /** Of an end: it is not over, but graver, and begins anew as that. */
  readonly isSuperseded?: true;
}

/** Of what was stored: this version can go on from it. Throws, or is false, for what it can't. */
export function isSoundBeginning(begun: AlertEvent): boolean {
  const { id, device, metric, source, cause, sinceMs, sinceRunMs } = begun;
  const names = [id, device, metric, source, cause.stream];
  const numbers = [sinceMs, sinceRunMs, cause.partition, cause.offset];
  return names.every((one) => typeof one === 'string') && numbers.every(Number.isFinite);
}

/** Names that a flood tells. */
export const MAX_NAMES = 5;

export function keyOf({ device, metric, source }: AlertSeries): string {
  const names = [device, metric, ...(source === 'learned' ? [] : [source])];
  return names.map(encodeURIComponent).join('/');
}

/** undefined: no key that `keyOf` gives. */
export function seriesOfKey(key: string): AlertSeries | undefined {
  try {
    const [device = '', metric = '', source = 'learned'] = key.split('/').map(decodeURIComponent);
    return { device, metric, source: source as Source };
  } catch {
    return undefined;
  }
}

/** `from`: of a silence that is counted from a restart on, the run clock at that. */
export function eventId(
  kind: 'begin' | 'end' | 'ack',
  series: AlertSeries,
  at: { readonly log: string; readonly cause: RecordPosition; readonly from?: number | undefined },
): string {
  const { stream, partition, offset } = at.cause;
  const from = at.from === undefined ? '' : `:${Math.round(at.from)}`;
  return `${kind}:${keyOf(series)}:${at.log}:${stream}:${partition}:${offset}${from}`;
}

/** When the first anomalous value came. */
export interface Since {
  readonly sinceMs: number;
  readonly sinceRunMs: number;
}

/** The beginning that a verdict makes. */
export function beginOf(
  series: AlertSeries,
  verdict: Verdict,
  more: Since & {
    readonly log: string;
    readonly severity: Severity;
    readonly suppressed: number;
    readonly from?: number | undefined;
  },
): AlertEvent {
  const { value, score, expectedLow, expectedHigh, cause, fault = 'unusual', oneIn } = verdict;
  const { log, severity, suppressed, sinceMs, sinceRunMs, from } = more;
  return {
    id: eventId('begin', series, { log, cause, from }),
    kind: 'begin',
    device: series.device,
    metric: series.metric,
    source: series.source,
    value,
    score,
    expectedLow,
    expectedHigh,
    severity,
    fault,
    ...(oneIn === undefined ? {} : { oneIn }),
    cause,
    sinceMs,
    sinceRunMs: Math.min(sinceRunMs, verdict.sinceRunMs ?? sinceRunMs),
    atMs: verdict.receivedAtMs,
    atRunMs: verdict.atRunMs,
    suppressed,
    count: 1,
  };
}

/**
 * The end that a verdict makes of what has begun. What began without a reading of its own is named
 * after its beginning: the reading that ends one silence is the cause of the next.
 */
export function endOf(log: string, begun: AlertEvent, verdict: Verdict): AlertEvent {
  const isOfReading = /^(?:learned$|limit:)/.test(begun.source);
  const { value, score, expectedLow, expectedHigh, cause, receivedAtMs, atRunMs } = verdict;
  return {
    ...begun,
    id: isOfReading ? eventId('end', begun, { log, cause }) : begun.id.replace(/^begin:/, 'end:'),
    kind: 'end',
    begunId: begun.id,
    value,
    score,
    expectedLow,
    expectedHigh,
    cause,
    atMs: receivedAtMs,
    atRunMs,
    suppressed: 0,
  };
}

/**
 * The end of an alert that has turned out to be graver. Named after its beginning: the reading may
 * be the cause of the graver one's own end too.
 */
export function supersededBy(begun: AlertEvent, verdict: Verdict): AlertEvent {
  const end = endOf('', begun, verdict);
  return { ...end, id: begun.id.replace(/^begin:/, 'end:'), isSuperseded: true };
}
