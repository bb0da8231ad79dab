import type { ErrorCode } from '../base/errors.ts';
import type { PayloadValue } from '../base/reading.ts';
import type { Decoder, ParsedPayload } from './decoder.ts';
import { deviceTimeOf, listSamplesOf, messageIdOf, samplesOf } from './fields.ts';
import { pointedSamples } from './metric-pointers.ts';
import { textOf } from './text.ts';

/** JSON of any shape, a plain number among them; `code` is what anything else is. */
export function parseJson(payload: Uint8Array, code: ErrorCode): ParsedPayload {
  if (payload.length === 0) return { ok: false, code: 'PAYLOAD_EMPTY' };
  const text = textOf(payload);
  if (text === undefined) return { ok: false, code };
  try {
    const value: unknown = JSON.parse(text);
    // 1e999 is valid JSON and parses to Infinity, which is no measurement.
    if (typeof value === 'number' && !Number.isFinite(value)) return { ok: false, code };
    return { ok: true, value: value as PayloadValue };
  } catch {
    return { ok: false, code };
  }
}

/** JSON or a plain number, as it has always been: what is in lists is stored and not watched. */
export function autoDecoder(metrics: readonly string[]): Decoder {
  return {
    format: 'auto',
    parse: (payload) => parseJson(payload, 'PAYLOAD_NOT_A_READING'),
    messageId: messageIdOf,
    deviceTime: deviceTimeOf,
    samples: metrics.length === 0 ? samplesOf : pointedSamples(metrics),
  };
}

export const AUTO: Decoder = autoDecoder([]);

/** JSON, with lists of samples. */
export function jsonDecoder(metrics: readonly string[]): Decoder {
  return {
    format: 'json',
    parse: (payload) => parseJson(payload, 'PAYLOAD_NOT_OF_FORMAT'),
    messageId: messageIdOf,
    deviceTime: deviceTimeOf,
    samples: metrics.length === 0 ? listSamplesOf : pointedSamples(metrics),
  };
}
