import type { ErrorCode } from '../base/errors.ts';
import type { MessageId, PayloadValue, Reading } from '../base/reading.ts';
import type { Decoder } from '../decode/decoder.ts';

/** A message on a stream's topic, as the broker hands it over. */
export interface StreamMessage {
  readonly device: string;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly monoMs: number;
  readonly userProperties?: UserProperties | undefined;
}

/** Of MQTT 5: texts by name, several where a name comes more than once. */
export type UserProperties = Readonly<Record<string, string | readonly string[]>>;

/** How the messages of one stream are read. */
export interface ReadingRules {
  readonly decoder: Decoder;
  /** The id of a message: none, one, or the reason why what should be one is none. */
  readonly messageId: (
    message: StreamMessage,
    value: PayloadValue,
  ) => MessageId | undefined | ErrorCode;
  /** The boot that ids count in is a user property: without it a counter names no message. */
  readonly bootIsProperty: boolean;
  readonly maxPayloadBytes: number;
}

/** A reading, and what its payload says, whether that is kept or not. */
export interface ParsedReading {
  readonly ok: true;
  readonly reading: Reading;
  readonly value: PayloadValue;
}

export type ParsedMessage = ParsedReading | { readonly ok: false; readonly code: ErrorCode };

/** Of a payload whose value is kept beside its bytes. */
const MAX_KEPT_BYTES = 4_096;
const MAX_KEPT_FIELDS = 32;

/**
 * What a payload says may be kept until the commit only where it takes about as much room as the
 * payload, since only that is counted: `[{},{},…]` takes twenty times as much. Whoever needs the
 * value of another parses it again.
 */
function isKept(value: PayloadValue, payload: Uint8Array): boolean {
  if (typeof value === 'number') return true;
  if (payload.length > MAX_KEPT_BYTES || typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return false;
  const fields = value as Readonly<Record<string, unknown>>;
  let left = MAX_KEPT_FIELDS;
  for (const name in fields) {
    if (--left < 0 || (typeof fields[name] === 'object' && fields[name] !== null)) return false;
  }
  return true;
}

/** A reading, or the reason why it is none. Pure; never throws. */
export function parseReading(message: StreamMessage, rules: ReadingRules): ParsedMessage {
  const { device, topic, payload, monoMs } = message;
  const { decoder } = rules;
  if (payload.length > rules.maxPayloadBytes) return { ok: false, code: 'PAYLOAD_TOO_LARGE' };
  const parsed = decoder.parse(payload);
  if (!parsed.ok) return parsed;
  const { value } = parsed;
  const messageId = rules.messageId(message, value);
  if (typeof messageId === 'string') return { ok: false, code: messageId };
  const deviceTimeMs = decoder.deviceTime(value);
  const kept = isKept(value, payload) ? value : undefined;
  const reading = { device, topic, payload, messageId, deviceTimeMs, monoMs, value: kept };
  return { ok: true, reading, value };
}
