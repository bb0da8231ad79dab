import type { LogRecord } from '../base/reading.ts';
import { type RecordJson, recordJson } from '../base/record-json.ts';
import { topicLevel } from '../base/topic-level.ts';

/**
 * What one record looks like in the cloud: docs/uplink.md. (gateway, log, stream, partition,
 * offset) is its identity: the far side keeps one record of each and so makes exactly-once of
 * at-least-once. Pure.
 */
export interface Envelope extends RecordJson {
  readonly gateway: string;
  /** Names the log's incarnation: offsets start again only with another one. */
  readonly log: string;
}

/** Where records come from: the same for all of a gateway's streams in one store. */
export interface Origin {
  readonly gateway: string;
  readonly log: string;
}

export function encodeEnvelope(record: LogRecord, { gateway, log }: Origin): Buffer {
  const envelope: Envelope = { gateway, log, ...recordJson(record) };
  return Buffer.from(JSON.stringify(envelope));
}

/** The name as it is stands in the envelope. */
function levelOf(name: string, isFirst: boolean): string {
  const safe = topicLevel(name);
  // Topics that begin with $ belong to the broker, and some drop what is published there.
  return isFirst && safe.startsWith('$') ? `_${safe.slice(1)}` : safe;
}

/** `headgate/{gateway}/{stream}/{device}` with each name in braces as one safe level. */
export function cloudTopic(template: string, record: LogRecord, gateway: string): string {
  const { stream, device } = record;
  return template.replace(/\{(gateway|stream|device)\}/g, (_, name: string, at: number) =>
    levelOf(name === 'gateway' ? gateway : name === 'stream' ? stream : device, at === 0),
  );
}
