import { deflateSync } from 'node:zlib';
import type { LogRecord } from '../../src/base/reading.ts';
import { encodeBatch } from '../../src/uplink/batch-envelope.ts';
import type { CloudMessage } from '../../src/uplink/cloud-link.ts';
import { cloudTopic, DEFAULT_TOPICS, recordMessage } from '../../src/uplink/envelope.ts';

/** What the uplink makes of records, each shape that it knows. */
export const SHAPES = ['wrapper', 'properties', 'batch', 'plain batch'] as const;
export type Shape = (typeof SHAPES)[number];

export interface SentAs {
  readonly gateway: string;
  readonly shape: Shape;
  readonly historical?: boolean;
}

let sent = 0;

/** An id that no other has: a far side that looks for repeats by it takes each for new. */
function newId(): string {
  sent += 1;
  return `message-${sent}`;
}

/** `records`: of one stream. */
export function cloudMessages(records: readonly LogRecord[], as: SentAs): CloudMessage[] {
  const { gateway, shape, historical = false } = as;
  const origin = { gateway, log: '9f3c61d2' };
  const [first] = records;
  if (first === undefined) return [];
  if (shape === 'wrapper' || shape === 'properties') {
    return records.map((record) => {
      const topic = cloudTopic(DEFAULT_TOPICS.raw, record, gateway);
      const message = recordMessage(record, origin, { topic, identity: shape, historical });
      return { ...message, id: newId() };
    });
  }
  const document = encodeBatch(records, origin, historical);
  const payload = shape === 'batch' ? deflateSync(document) : document;
  const topic = cloudTopic(DEFAULT_TOPICS.batch, first, gateway);
  return [{ topic, payload, key: first.stream, id: newId(), properties: {} }];
}
