import type { LogRecord } from '../base/reading.ts';
import { type RecordJson, recordJson } from '../base/record-json.ts';

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

export function envelopeOf(record: LogRecord, { gateway, log }: Origin): Envelope {
  return { gateway, log, ...recordJson(record) };
}

export function encodeEnvelope(record: LogRecord, origin: Origin): Buffer {
  return Buffer.from(JSON.stringify(envelopeOf(record, origin)));
}

/** The identity as one text, for logs and for far sides that want a single key. */
export function identityOf(envelope: Envelope): string {
  const { gateway, log, stream, partition, offset } = envelope;
  return `${gateway}/${log}/${stream}/${partition}/${offset}`;
}

/** Characters that may not stand in a level of a topic that is published to. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced.
const UNSAFE = /[+#/\u0000-\u001f\u007f]/g;

/** `headgate/{gateway}/{stream}/{device}` with each placeholder as one safe level. */
export function cloudTopic(template: string, record: LogRecord, gateway: string): string {
  return template.replace(/\{(gateway|stream|device)\}/g, (_, name: string) => {
    const value = name === 'gateway' ? gateway : name === 'stream' ? record.stream : record.device;
    return value.replace(UNSAFE, '_');
  });
}
