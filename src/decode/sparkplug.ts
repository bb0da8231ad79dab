import type { ErrorCode } from '../base/errors.ts';
import type { MessageId, PayloadValue, Sample } from '../base/reading.ts';
import { type Decoder, MAX_SAMPLES, type ParsedPayload } from './decoder.ts';
import { timeOf } from './fields.ts';
import { SparkplugBirths } from './sparkplug-births.ts';
import {
  type Metric,
  readSparkplug,
  type SparkplugPayload,
  TooManyMetrics,
} from './sparkplug-payload.ts';
import { isMeasured, sparkplugTopic } from './sparkplug-topic.ts';
import { CLOCK_IS_SET_FROM_MS, isMoment, signed } from './sparkplug-types.ts';

/** Sparkplug B, as edge nodes and their devices publish it. Pure. */

/** Says which connection of the node it is, and measures nothing. */
const BIRTH_COUNT = 'bdSeq';

function payloadOf(value: PayloadValue): SparkplugPayload {
  return value as SparkplugPayload;
}

function parse(payload: Uint8Array): ParsedPayload {
  if (payload.length === 0) return { ok: false, code: 'PAYLOAD_EMPTY' };
  try {
    return { ok: true, value: readSparkplug(payload) };
  } catch (error) {
    const isTooMany = error instanceof TooManyMetrics;
    return { ok: false, code: isTooMany ? 'PAYLOAD_TOO_COMPLEX' : 'PAYLOAD_NOT_OF_FORMAT' };
  }
}

/**
 * The time at which it was published and `seq`, which comes again after 256 messages. Where the
 * clock was never set, that may all come again after a restart: `seq` is then a mere counter. The
 * field `uuid` is no id: it may name the form of a message, and so be the same in all of them.
 */
function messageId(value: PayloadValue): MessageId | undefined | ErrorCode {
  const { timestamp = 0, seq } = payloadOf(value);
  if (seq === undefined) return undefined;
  return timestamp < CLOCK_IS_SET_FROM_MS
    ? { kind: 'counter', text: String(seq), sequence: seq }
    : { kind: 'id', text: `${timestamp}:${seq}` };
}

function nameOf({ name, alias }: Metric): string | undefined {
  if (name !== undefined) return name === '' ? undefined : name;
  return alias === undefined ? undefined : `alias:${alias}`;
}

function samples(value: PayloadValue, place: string, topic: string): Sample[] {
  const about = sparkplugTopic(topic);
  if (about === undefined || !isMeasured(about.type)) return [];
  // The level of the message's type is no part of a place: it is another one in each message.
  const prefix = place === '' || about.device === '' ? '' : `${about.device}.`;
  const { timestamp, metrics } = payloadOf(value);
  const found: Sample[] = [];
  for (const metric of metrics) {
    const name = nameOf(metric);
    const number = isMoment(metric) ? undefined : signed(metric);
    if (name === undefined || name === BIRTH_COUNT || number === undefined) continue;
    if (found.length >= MAX_SAMPLES) break;
    const sample = { metric: prefix + name, value: number };
    const timeMs = timeOf(metric.timestamp ?? timestamp ?? Number.NaN);
    found.push(timeMs === undefined ? sample : { ...sample, timeMs });
  }
  return found;
}

export const SPARKPLUG: Decoder = {
  format: 'sparkplug',
  parse,
  messageId,
  deviceTime: (value) => timeOf(payloadOf(value).timestamp ?? Number.NaN),
  samples,
  newMemory: () => new SparkplugBirths(),
};
