import type { LogRecord } from './reading.ts';

/** A record as JSON: one line of `log read --format ndjson`, and what the cloud gets. */
export interface RecordJson {
  readonly stream: string;
  readonly partition: number;
  readonly offset: number;
  readonly device: string;
  readonly id?: string;
  readonly topic: string;
  /** Wall clock at arrival, ms since 1970. */
  readonly receivedAt: number;
  /** Corrected time of arrival, ms since 1970, where that is another. */
  readonly time?: number;
  /** The device's own time, ms since 1970, if it sent one. */
  readonly deviceTime?: number;
  /** Why it is a dead letter: an error code. */
  readonly reason?: string;
  /** Text as it came, or base64 if it is no valid UTF-8. */
  readonly payload: string;
  readonly encoding?: 'base64';
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes as the text that they are, or as base64. */
export function payloadJson(payload: Uint8Array): Pick<RecordJson, 'payload' | 'encoding'> {
  try {
    return { payload: decoder.decode(payload) };
  } catch {
    const { buffer, byteOffset, byteLength } = payload;
    const text = Buffer.from(buffer, byteOffset, byteLength).toString('base64');
    return { payload: text, encoding: 'base64' };
  }
}

/** All but the payload. `timeMs`: the corrected time, if it is known. */
export function recordFields(
  record: LogRecord,
  timeMs = record.receivedAtMs,
): Omit<RecordJson, 'payload' | 'encoding'> {
  const { stream, partition, offset, device, messageId, topic, deviceTimeMs, reason } = record;
  const receivedAt = Math.round(record.receivedAtMs);
  const time = Math.round(timeMs);
  const id = messageId === undefined ? undefined : { id: messageId.text };
  return {
    ...{ stream, partition, offset, device, ...id, topic, receivedAt },
    ...(time === receivedAt ? undefined : { time }),
    ...(deviceTimeMs === undefined ? undefined : { deviceTime: deviceTimeMs }),
    ...(reason === undefined ? undefined : { reason }),
  };
}

/** `timeMs`: the corrected time, if it is known. */
export function recordJson(record: LogRecord, timeMs = record.receivedAtMs): RecordJson {
  return { ...recordFields(record, timeMs), ...payloadJson(record.payload) };
}
