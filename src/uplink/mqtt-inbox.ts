import { messageOf } from '../base/errors.ts';
import type { CloudCommand } from './cloud-link.ts';

/** The part of a PUBLISH from the cloud that is looked at here. */
export interface InboundPacket {
  readonly topic: string;
  readonly payload: string | Uint8Array;
  readonly qos: number;
  readonly messageId?: number | undefined;
}

/**
 * Unacknowledged at one time: the receive maximum of MQTT 5. Of 3.1.1, beyond it the connection is
 * not read any further.
 */
export const MAX_HELD = 32;

export interface MqttInboxOptions {
  /** Writes the PUBACK. */
  readonly acknowledge: (messageId: number) => void;
  /** Ends the connection: what is not acknowledged comes again on a later one. */
  readonly giveUp: (reason: string) => void;
}

interface Held {
  readonly packet: InboundPacket;
  readonly readOn: (() => void) | undefined;
}

/**
 * Messages from the cloud, from their arrival to their acknowledgement. They are handled one at a
 * time, so that one that fails has none behind it that was taken. The connection is read on
 * meanwhile: acknowledgements of records come on it too, and one device that is slow to take its
 * command must not hold them up.
 */
export class MqttInbox {
  readonly #options: MqttInboxOptions;
  readonly #held: Held[] = [];
  #onCommand: ((command: CloudCommand) => Promise<void>) | undefined;
  #isBusy = false;
  #isOver = false;

  constructor(options: MqttInboxOptions) {
    this.#options = options;
  }

  /** Takes a message in; `readOn` is called when the next packet may be read. */
  add(packet: InboundPacket, readOn: () => void): void {
    if (this.#isOver) return;
    const isFull = this.#held.length >= MAX_HELD;
    this.#held.push({ packet, readOn: isFull ? readOn : undefined });
    if (!isFull) readOn();
    void this.#work();
  }

  /** Until then all are held: those of a session may come before anybody listens. */
  listen(onCommand: (command: CloudCommand) => Promise<void>): void {
    this.#onCommand = onCommand;
    void this.#work();
  }

  /** The connection is gone: nothing is handled or acknowledged any more. */
  end(): void {
    this.#isOver = true;
    this.#held.length = 0;
  }

  async #work(): Promise<void> {
    if (this.#isBusy || this.#onCommand === undefined) return;
    this.#isBusy = true;
    for (let next = this.#held[0]; next !== undefined; next = this.#held[0]) {
      const { topic, payload, messageId, qos } = next.packet;
      try {
        const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
        await this.#onCommand({ topic, payload: bytes });
      } catch (error) {
        if (!this.#isOver) this.#options.giveUp(`a message was not taken: ${messageOf(error)}`);
        return;
      }
      // A crash here: the cloud has no acknowledgement, and sends it once more.
      if (this.#isOver) return;
      if (qos === 1 && messageId !== undefined) this.#options.acknowledge(messageId);
      this.#held.shift();
      next.readOn?.();
    }
    this.#isBusy = false;
  }
}
