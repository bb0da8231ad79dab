import type { RecordPosition } from '../base/reading.ts';
import { topicLevel } from '../base/topic-level.ts';
import type { Fault, Severity } from '../base/verdict.ts';
import type { AlertEvent, Source } from './alert-event.ts';
import { reasonOf } from './alert-reason.ts';

/** The JSON of an alert's events, in the alerts stream and on MQTT: docs/alerts.md. */
export interface AlertMessage {
  /** Names the event, once for good. */
  readonly alert: string;
  /** `ack`: a person has seen it. */
  readonly kind: 'begin' | 'end' | 'ack';
  readonly severity: Severity;
  readonly fault: Fault;
  readonly source: Source;
  readonly device: string;
  readonly metric: string;
  readonly value: number;
  /** null: no bound. */
  readonly expected: readonly [low: number | null, high: number | null];
  readonly score: number;
  readonly oneIn?: number;
  readonly cause: RecordPosition;
  /** ms since 1970. */
  readonly since: number;
  readonly at: number;
  readonly suppressed: number;
  readonly count: number;
  readonly names?: readonly string[];
  readonly reason: string;
  /** Of an end: it is not over, but graver, and begins anew as that. */
  readonly superseded?: true;
  /** On MQTT, of a beginning: when a person has seen it. */
  readonly acknowledged?: number;
}

export function alertTopic({ device, metric }: { device: string; metric: string }): string {
  return `headgate/alerts/${topicLevel(device)}/${topicLevel(metric)}`;
}

const bound = (one: number) => (Math.abs(one) < Number.MAX_VALUE ? one : null);

export function alertMessage(event: AlertEvent): AlertMessage {
  const { id, kind, device, metric, value, score, expectedLow, expectedHigh, cause } = event;
  const { severity, fault, source, oneIn, names } = event;
  return {
    alert: id,
    kind,
    severity,
    fault,
    source,
    device,
    metric,
    value,
    expected: [bound(expectedLow), bound(expectedHigh)],
    score,
    ...(oneIn === undefined ? {} : { oneIn }),
    cause,
    since: Math.round(event.sinceMs),
    at: Math.round(event.atMs),
    suppressed: event.suppressed,
    count: event.count,
    ...(names === undefined ? {} : { names }),
    reason: reasonOf(event),
    ...(event.isSuperseded ? { superseded: true } : {}),
  };
}

/** Whom a sentence about an alert is about. */
function subjectOf({ source, device, metric }: AlertMessage): string {
  if (source.startsWith('site:')) return 'the silence of the site';
  const isWhole = /^(silence|flood)/.test(source);
  return isWhole ? device : `${metric} of ${device}`;
}

/** The end of an alert whose series nobody watches any more, at this wall clock. */
export function abandoned(begun: AlertMessage, wallMs: number): AlertMessage {
  return {
    ...begun,
    alert: begun.alert.replace(/^begin:/, 'end:'),
    kind: 'end',
    at: Math.round(wallMs),
    reason: `${subjectOf(begun)} is not watched any more`,
  };
}

/** A person has seen an alert, at this wall clock. */
export function acknowledged(begun: AlertMessage, wallMs: number): AlertMessage {
  return {
    ...begun,
    alert: begun.alert.replace(/^begin:/, 'ack:'),
    kind: 'ack',
    at: Math.round(wallMs),
    reason: `seen: ${begun.reason}`,
  };
}

/** What the alerts stream holds; undefined if it is nothing that this version writes. */
export function parseAlert(payload: Uint8Array): AlertMessage | undefined {
  try {
    const alert = JSON.parse(Buffer.from(payload).toString()) as AlertMessage;
    const { alert: id, kind, device, metric, source, cause } = alert;
    const names = [id, device, metric, source, cause.stream];
    if (!names.every((text) => typeof text === 'string')) return undefined;
    return ['begin', 'end', 'ack'].includes(kind) ? alert : undefined;
  } catch {
    return undefined;
  }
}
