import type { ErrorCode } from '../base/errors.ts';
import { deviceTimeOf, messageIdOf, parsePayload } from '../base/payload.ts';
import type { PayloadValue, Reading } from '../base/reading.ts';

/** A message on a stream's topic, as the broker hands it over. */
export interface StreamMessage {
  readonly device: string;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly monoMs: number;
}

export type ParsedMessage =
  | { readonly ok: true; readonly reading: Reading }
  | { readonly ok: false; readonly code: ErrorCode };

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
export function parseReading(message: StreamMessage, maxPayloadBytes: number): ParsedMessage {
  const { device, topic, payload, monoMs } = message;
  if (payload.length > maxPayloadBytes) return { ok: false, code: 'PAYLOAD_TOO_LARGE' };
  const parsed = parsePayload(payload);
  if (!parsed.ok) return parsed;
  const { value } = parsed;
  const messageId = messageIdOf(value);
  if (typeof messageId === 'string') return { ok: false, code: messageId };
  const deviceTimeMs = deviceTimeOf(value);
  const kept = isKept(value, payload) ? value : undefined;
  const reading = { device, topic, payload, messageId, deviceTimeMs, monoMs, value: kept };
  return { ok: true, reading };
}
