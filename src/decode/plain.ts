import type { Decoder } from './decoder.ts';
import { samplesOf } from './fields.ts';
import { textOf } from './text.ts';

/** The two formats without fields. */

// No part of it may begin in two ways: a long run of digits would be tried in all of them.
const NUMBER = /^\s*[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\s*$/i;

const nothing = () => undefined;

/** A number as people and printf write it: `21.5`, ` +21.50\r\n`, `2.15e1`. */
export const NUMBER_DECODER: Decoder = {
  format: 'number',
  parse(payload) {
    if (payload.length === 0) return { ok: false, code: 'PAYLOAD_EMPTY' };
    const text = textOf(payload);
    const value = text !== undefined && NUMBER.test(text) ? Number(text) : Number.NaN;
    return Number.isFinite(value)
      ? { ok: true, value }
      : { ok: false, code: 'PAYLOAD_NOT_OF_FORMAT' };
  },
  messageId: nothing,
  deviceTime: nothing,
  samples: samplesOf,
};

/** Bytes that nobody here can read: stored and forwarded, an empty payload too. */
export const RAW_DECODER: Decoder = {
  format: 'raw',
  parse: () => ({ ok: true, value: null }),
  messageId: nothing,
  deviceTime: nothing,
  samples: () => [],
};
