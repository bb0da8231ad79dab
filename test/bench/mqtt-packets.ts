/** The few packets of MQTT 3.1.1 that a load generator needs, much cheaper than a library. */

export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const SUBACK = 9;

export function remainingLength(length: number): number[] {
  const bytes: number[] = [];
  let rest = length;
  do {
    const digit = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? digit | 0x80 : digit);
  } while (rest > 0);
  return bytes;
}

/** With a clean session, and no keepalive: nobody here would send a ping. */
export function connectPacket(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  const head = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, id.length]);
  const body = Buffer.concat([head, id]);
  return Buffer.concat([Buffer.from([0x10, ...remainingLength(body.length)]), body]);
}

export function subscribePacket(filter: string, qos: 0 | 1): Buffer {
  const name = Buffer.from(filter);
  const body = Buffer.concat([Buffer.from([0, 1, 0, name.length]), name, Buffer.from([qos])]);
  return Buffer.concat([Buffer.from([0x82, ...remainingLength(body.length)]), body]);
}

/** QoS 1. The payload is of ASCII characters. */
export function publishPacket(topic: Buffer, packetId: number, payload: string): Buffer {
  const length = 2 + topic.length + 2 + payload.length;
  const head = remainingLength(length);
  const packet = Buffer.allocUnsafe(1 + head.length + length);
  packet[0] = 0x32;
  packet.set(head, 1);
  let at = 1 + head.length;
  packet.writeUInt16BE(topic.length, at);
  topic.copy(packet, at + 2);
  at += 2 + topic.length;
  packet.writeUInt16BE(packetId, at);
  packet.write(payload, at + 2, 'latin1');
  return packet;
}

export interface Packet {
  readonly kind: number;
  /** Of a PUBLISH. */
  readonly qos: number;
  /** After the fixed header. */
  readonly body: Buffer;
}

/** Cuts a stream of bytes into packets. */
export class PacketReader {
  #rest: Buffer = Buffer.alloc(0);

  *read(bytes: Buffer): Generator<Packet> {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    for (;;) {
      let length = 0;
      let head = 1;
      let digit = 0x80;
      for (; digit & 0x80 && at + head < all.length; head++) {
        digit = all[at + head] ?? 0;
        length += (digit & 0x7f) * 128 ** (head - 1);
      }
      const first = all[at];
      const end = at + head + length;
      if (first === undefined || digit & 0x80 || end > all.length) break;
      yield { kind: first >> 4, qos: (first >> 1) & 3, body: all.subarray(at + head, end) };
      at = end;
    }
    this.#rest = all.subarray(at);
  }
}

/** Topic, packet id (0 with QoS 0) and payload of a PUBLISH. */
export function publishParts({ qos, body }: Packet) {
  const topicEnd = 2 + body.readUInt16BE(0);
  const hasId = qos > 0;
  return {
    topic: body.subarray(2, topicEnd),
    packetId: hasId ? body.readUInt16BE(topicEnd) : 0,
    payload: body.subarray(topicEnd + (hasId ? 2 : 0)),
  };
}
