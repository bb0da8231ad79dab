import type { CloudMessage } from './cloud-link.ts';

/** PUBLISH of QoS 1, neither DUP nor RETAIN (MQTT 3.1.1 and 5, 3.3.1). */
const PUBLISH_QOS_1 = 0x32;
/** MQTT 5, 3.3.2.3.7. */
const USER_PROPERTY = 0x26;

/** A message that has its packet id. */
export interface Publish {
  readonly message: CloudMessage;
  readonly id: number;
}

/** Bytes of a length as MQTT writes it (1.5.5): seven bits each. */
function lengthBytes(length: number): number {
  if (length < 128) return 1;
  if (length < 16_384) return 2;
  return length < 2_097_152 ? 3 : 4;
}

function propertyBytes({ properties }: CloudMessage): number {
  let length = 0;
  for (const name in properties) {
    length += 5 + Buffer.byteLength(name) + Buffer.byteLength(properties[name] ?? '');
  }
  return length;
}

/** Of what follows the fixed header: topic, packet id, properties, payload. */
function bodyBytes(message: CloudMessage, version: 4 | 5): number {
  const body = 2 + Buffer.byteLength(message.topic) + 2 + message.payload.length;
  if (version === 4) return body;
  const length = propertyBytes(message);
  return body + length + lengthBytes(length);
}

/** Bytes of the PUBLISH that carries it. */
export function publishBytes(message: CloudMessage, version: 4 | 5): number {
  const body = bodyBytes(message, version);
  return 1 + lengthBytes(body) + body;
}

function writeLength(to: Buffer, at: number, length: number): number {
  let rest = length;
  let end = at;
  while (rest >= 128) {
    to[end++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  to[end++] = rest;
  return end;
}

function writeText(to: Buffer, at: number, text: string): number {
  const bytes = to.write(text, at + 2);
  to.writeUInt16BE(bytes, at);
  return at + 2 + bytes;
}

function writePublish(to: Buffer, at: number, { message, id }: Publish, version: 4 | 5): number {
  const { topic, payload, properties } = message;
  to[at] = PUBLISH_QOS_1;
  let end = writeLength(to, at + 1, bodyBytes(message, version));
  end = writeText(to, end, topic);
  end = to.writeUInt16BE(id, end);
  if (version === 5) {
    end = writeLength(to, end, propertyBytes(message));
    for (const name in properties) {
      to[end] = USER_PROPERTY;
      end = writeText(to, end + 1, name);
      end = writeText(to, end, properties[name] ?? '');
    }
  }
  to.set(payload, end);
  return end + payload.length;
}

/** Their packets, one behind the other. */
export function encodePublishes(publishes: readonly Publish[], version: 4 | 5): Buffer {
  let bytes = 0;
  for (const { message } of publishes) bytes += publishBytes(message, version);
  const packets = Buffer.allocUnsafe(bytes);
  let end = 0;
  for (const publish of publishes) end = writePublish(packets, end, publish, version);
  return packets;
}
