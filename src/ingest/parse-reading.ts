import type { ErrorCode } from '../base/errors.ts';
import { deviceTimeOf, messageIdOf, parsePayload } from '../base/payload.ts';
import type { Reading } from '../base/reading.ts';

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
  return { ok: true, reading: { device, topic, payload, messageId, deviceTimeMs, monoMs, value } };
}
