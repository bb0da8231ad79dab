import type { LogRecord } from '../base/reading.ts';
import { payloadJson, type RecordJson, recordFields } from '../base/record-json.ts';
import { topicLevel } from '../base/topic-level.ts';
import type { CloudMessage } from './cloud-link.ts';

/**
 * What one record looks like in the cloud: docs/uplink.md. (gateway, log, stream, partition,
 * offset) is its identity: the far side keeps one record of each and so makes exactly-once of
 * at-least-once. Pure.
 */
export interface Envelope extends RecordJson {
  readonly gateway: string;
  /** Names the log's incarnation: offsets start again only with another one. */
  readonly log: string;
  /** It was received before the link on which it was sent came up. */
  readonly historical?: true;
}

/** Where records come from: the same for all of a gateway's streams in one store. */
export interface Origin {
  readonly gateway: string;
  readonly log: string;
}

export function encodeEnvelope(
  record: LogRecord,
  { gateway, log }: Origin,
  historical = false,
): Buffer {
  const fields = JSON.stringify(recordFields(record)).slice(1, -1);
  const { payload, encoding } = payloadJson(record.payload);
  const end = encoding === undefined ? '}' : `,"encoding":"${encoding}"}`;
  const flag = historical ? ',"historical":true' : '';
  const head = `{"gateway":${JSON.stringify(gateway)},"log":${JSON.stringify(log)}${flag},`;
  return Buffer.from(`${head}${fields},"payload":${JSON.stringify(payload)}${end}`);
}

/** (gateway, log, stream, partition, offset) as one text. No name of the five holds a slash. */
export function identityText({ gateway, log }: Origin, record: LogRecord): string {
  return `${gateway}/${log}/${record.stream}/${record.partition}/${record.offset}`;
}

/** The envelope of a record whose payload travels as it came. */
function propertiesOf(
  record: LogRecord,
  { gateway, log }: Origin,
  historical: boolean,
): Record<string, string> {
  const properties: Record<string, string> = { gateway, log };
  if (historical) properties['historical'] = 'true';
  for (const [name, value] of Object.entries(recordFields(record))) {
    properties[name] = String(value);
  }
  return properties;
}

export interface RawShape {
  /** As `cloudTopic` makes it. */
  readonly topic: string;
  readonly identity: 'wrapper' | 'properties';
  readonly historical: boolean;
}

/** One record as one publish. */
export function recordMessage(record: LogRecord, origin: Origin, shape: RawShape): CloudMessage {
  const { topic, identity, historical } = shape;
  const isWrapped = identity === 'wrapper';
  return {
    topic,
    payload: isWrapped ? encodeEnvelope(record, origin, historical) : record.payload,
    key: record.device,
    id: identityText(origin, record),
    properties: isWrapped ? {} : propertiesOf(record, origin, historical),
  };
}

/** The name as it is stands in the envelope. */
function levelOf(name: string, isFirst: boolean): string {
  const safe = topicLevel(name);
  // Topics that begin with $ belong to the broker, and some drop what is published there.
  return isFirst && safe.startsWith('$') ? `_${safe.slice(1)}` : safe;
}

/** `headgate/{gateway}/{stream}/{device}` with each name in braces as one safe level. */
export function cloudTopic(
  template: string,
  { stream, device }: Pick<LogRecord, 'stream' | 'device'>,
  gateway: string,
): string {
  return template.replace(/\{(gateway|stream|device)\}/g, (_, name: string, at: number) =>
    levelOf(name === 'gateway' ? gateway : name === 'stream' ? stream : device, at === 0),
  );
}

/** Where records go in the cloud unless the configuration says so. */
export const DEFAULT_TOPICS = {
  raw: 'headgate/{gateway}/{stream}/{device}',
  batch: 'headgate/{gateway}/{stream}',
} as const;
