import { AUTO } from '../../src/decode/json.ts';
import { isProperty, messageIdRule } from '../../src/ingest/id-source.ts';
import type { ReadingRules } from '../../src/ingest/parse-reading.ts';

/** The rules of a stream with the settings as they are by default. */
export function autoRules(maxPayloadBytes: number, bootFrom = 'payload'): ReadingRules {
  const messageId = messageIdRule('payload', bootFrom, AUTO);
  return { decoder: AUTO, messageId, maxPayloadBytes, bootIsProperty: isProperty(bootFrom) };
}
