import { parseCbor } from './cbor-tree.ts';
import type { Decoder } from './decoder.ts';
import { deviceTimeOf, listSamplesOf, messageIdOf } from './fields.ts';
import { pointedSamples } from './metric-pointers.ts';

/** CBOR, with fields of the same meaning as in JSON. */
export function cborDecoder(metrics: readonly string[]): Decoder {
  return {
    format: 'cbor',
    parse: (payload) => parseCbor(payload),
    messageId: messageIdOf,
    deviceTime: deviceTimeOf,
    samples: metrics.length === 0 ? listSamplesOf : pointedSamples(metrics),
  };
}
