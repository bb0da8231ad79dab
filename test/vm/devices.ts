import { connect, type Socket } from 'node:net';
import {
  CONNACK,
  connectPacket,
  PacketReader,
  PUBACK,
  publishPacket,
} from '../bench/mqtt-packets.ts';
import { type Ledger, payloadOf } from './ledger.ts';

/**
 * A device outside the machine: sends readings with QoS 1, a few at a time, first those that were
 * not acknowledged before the power went. Notes each acknowledgement in the ledger, with its place
 * in the record of the disk.
 */
export class Device {
  readonly name: string;
  readonly #ledger: Ledger;
  readonly #placeNow: () => number;
  readonly #waiting: number[];
  readonly #sequenceOf = new Map<number, number>();
  readonly #packets = new PacketReader();
  readonly #topic: Buffer;
  #socket: Socket | undefined;
  #packetId = 0;
  #windowSize = 0;

  constructor(name: string, ledger: Ledger, placeNow: () => number) {
    this.name = name;
    this.#ledger = ledger;
    this.#placeNow = placeNow;
    this.#topic = Buffer.from(`sensors/${name}/t`);
    this.#waiting = ledger.unacknowledgedAt(Number.POSITIVE_INFINITY, name);
  }

  /** Resolves when the gateway has let it in; rejects if it hangs up before. */
  connect(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      this.#socket = socket;
      socket.setNoDelay(true);
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('the gateway hung up')));
      socket.on('data', (bytes) => {
        for (const { kind, body } of this.#packets.read(bytes)) {
          if (kind === CONNACK) resolve();
          if (kind === PUBACK) this.#acknowledged(body.readUInt16BE(0));
        }
        this.#fill();
      });
      socket.write(connectPacket(this.name));
    });
  }

  /** One reading, which is sent at once. */
  send(): void {
    this.#publish(this.#waiting.shift() ?? this.#ledger.send(this.name));
  }

  /** From now on it sends as fast as it is answered, `windowSize` at a time; 0: no more. */
  keepSending(windowSize: number): void {
    this.#windowSize = windowSize;
    this.#fill();
  }

  get open(): number {
    return this.#sequenceOf.size;
  }

  hangUp(): void {
    this.#socket?.destroy();
  }

  #acknowledged(packetId: number): void {
    const sequence = this.#sequenceOf.get(packetId);
    if (sequence === undefined) return;
    this.#sequenceOf.delete(packetId);
    this.#ledger.acknowledge(this.name, sequence, this.#placeNow());
  }

  #fill(): void {
    while (this.#sequenceOf.size < this.#windowSize) this.send();
  }

  #publish(sequence: number): void {
    this.#packetId = (this.#packetId % 65_535) + 1;
    this.#sequenceOf.set(this.#packetId, sequence);
    this.#socket?.write(publishPacket(this.#topic, this.#packetId, payloadOf(this.name, sequence)));
  }
}
