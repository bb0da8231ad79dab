import type { RecordPosition } from '../base/reading.ts';
import { topicLevel } from '../base/topic-level.ts';
import type { AlertEvent } from './alert-state.ts';

/** The JSON of an alert's beginning or end, in the alerts stream and on MQTT: docs/alerts.md. */
export interface AlertMessage {
  /** Names the event, once for good. */
  readonly alert: string;
  readonly kind: 'begin' | 'end';
  readonly device: string;
  readonly metric: string;
  readonly value: number;
  readonly expected: readonly [low: number, high: number];
  readonly score: number;
  readonly cause: RecordPosition;
  /** ms since 1970. */
  readonly since: number;
  readonly at: number;
  readonly suppressed: number;
  readonly reason: string;
}

export function alertTopic({ device, metric }: { device: string; metric: string }): string {
  return `headgate/alerts/${topicLevel(device)}/${topicLevel(metric)}`;
}

const MAX_DECIMALS = 12;

/** As many digits as tell values of this spread apart: 101325.4 beside 101320 is not 101300. */
function short(value: number, spread: number): string {
  const decimals = 2 - Math.floor(Math.log10(spread));
  return String(Number(value.toFixed(Math.min(MAX_DECIMALS, Math.max(0, decimals)))));
}

/** A sentence for the person who is woken. */
export function reasonOf(event: AlertEvent): string {
  const { device, metric, value, expectedLow, expectedHigh } = event;
  const [now = '', low, high] = [value, expectedLow, expectedHigh].map((one) =>
    short(one, expectedHigh - expectedLow),
  );
  return event.kind === 'begin'
    ? `${metric} of ${device} is ${now}, expected ${low} to ${high}`
    : `${metric} of ${device} is ordinary again at ${now}`;
}

export function alertMessage(event: AlertEvent): AlertMessage {
  const { id, kind, device, metric, value, score, expectedLow, expectedHigh, cause } = event;
  return {
    alert: id,
    kind,
    device,
    metric,
    value,
    expected: [expectedLow, expectedHigh],
    score,
    cause,
    since: Math.round(event.sinceMs),
    at: Math.round(event.atMs),
    suppressed: event.suppressed,
    reason: reasonOf(event),
  };
}

/** The end of an alert whose series nobody watches any more, at this wall clock. */
export function abandoned(begun: AlertMessage, wallMs: number): AlertMessage {
  const { alert, device, metric } = begun;
  return {
    ...begun,
    alert: alert.replace(/^begin:/, 'end:'),
    kind: 'end',
    at: Math.round(wallMs),
    reason: `${metric} of ${device} is not watched any more`,
  };
}

/** What the alerts stream holds; undefined if it is nothing that this version writes. */
export function parseAlert(payload: Uint8Array): AlertMessage | undefined {
  try {
    const alert = JSON.parse(Buffer.from(payload).toString()) as AlertMessage;
    const { alert: id, kind, device, metric, cause } = alert;
    const isNamed = [id, device, metric, cause.stream].every((text) => typeof text === 'string');
    return isNamed && (kind === 'begin' || kind === 'end') ? alert : undefined;
  } catch {
    return undefined;
  }
}
