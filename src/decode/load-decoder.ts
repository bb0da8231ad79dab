import type { Decoder, Format } from './decoder.ts';
import { INFLUX } from './influx.ts';
import { AUTO, autoDecoder, jsonDecoder } from './json.ts';
import { NUMBER_DECODER, RAW_DECODER } from './plain.ts';
import { SENML_JSON } from './senml.ts';

export interface DecoderOptions {
  readonly format: Format;
  /** JSON pointers at what is measured; none: the format's own rule. */
  readonly metrics: readonly string[];
}

/** The decoder of a stream. The libraries of a format are loaded only here, when it is wanted. */
export async function loadDecoder({ format, metrics }: DecoderOptions): Promise<Decoder> {
  switch (format) {
    case 'auto':
      return metrics.length === 0 ? AUTO : autoDecoder(metrics);
    case 'json':
      return jsonDecoder(metrics);
    case 'number':
      return NUMBER_DECODER;
    case 'cbor':
      return (await import('./cbor.ts')).cborDecoder(metrics);
    case 'senml':
      return SENML_JSON;
    case 'senml-cbor':
      return (await import('./senml-cbor.ts')).SENML_CBOR;
    case 'influx':
      return INFLUX;
    case 'sparkplug':
      return (await import('./sparkplug.ts')).SPARKPLUG;
    case 'raw':
      return RAW_DECODER;
  }
}
