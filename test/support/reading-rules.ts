import { AUTO } from '../../src/decode/json.ts';
import { messageIdRule } from '../../src/ingest/id-source.ts';
import type { ReadingRules } from '../../src/ingest/parse-reading.ts';

/** The rules of a stream with the settings as they are by default. */
export function autoRules(maxPayloadBytes: number): ReadingRules {
  const messageId = messageIdRule('payload', 'payload', AUTO);
  return { decoder: AUTO, messageId, maxPayloadBytes };
}
