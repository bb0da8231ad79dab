import { loadDecoder } from './decode/load-decoder.ts';
import { SparkplugOrder } from './decode/sparkplug-order.ts';
import { isProperty, messageIdRule } from './ingest/id-source.ts';
import type { ReadingRules } from './ingest/parse-reading.ts';
import type { Config } from './ops/config.ts';

/** How the messages of one stream are read, by its configuration. */
export interface StreamDecoding {
  readonly rules: ReadingRules;
  readonly order: SparkplugOrder | undefined;
}

/** One for each stream; libraries are loaded for the formats that are used. */
export async function streamDecodings(config: Config): Promise<Map<string, StreamDecoding>> {
  const decodings = new Map<string, StreamDecoding>();
  const { maxPayloadBytes } = config.mqtt;
  for (const [name, { format, metrics, dedup }] of Object.entries(config.streams)) {
    const decoder = await loadDecoder({ format, metrics });
    const messageId = messageIdRule(dedup.idFrom, dedup.bootFrom, decoder);
    const order = format === 'sparkplug' ? new SparkplugOrder() : undefined;
    const bootIsProperty = isProperty(dedup.bootFrom);
    const rules = { decoder, messageId, bootIsProperty, maxPayloadBytes };
    decodings.set(name, { rules, order });
  }
  return decodings;
}
