import type { AckWatch } from './ack-watch.ts';
import { type CloudMessage, CloudRefusal, type RefusalKind } from './cloud-link.ts';
import { encodePublishes, type Publish } from './mqtt-packets.ts';
import type { PacketIds } from './packet-ids.ts';

export interface OutboxOptions {
  readonly protocolVersion: 4 | 5;
  readonly ids: PacketIds;
  readonly watch: AckWatch;
  readonly write: (packets: Buffer) => void;
}

interface Pending {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** MQTT 5, 3.4.2.1: what each refusing reason of a PUBACK asks for; the others: never. */
const KINDS: Readonly<Record<number, RefusalKind>> = {
  128: 'unclear',
  131: 'unclear',
  149: 'too-large',
  145: 'later',
  151: 'later',
};

/**
 * The records on their way on one MQTT connection. The client library is not asked to publish them:
 * each would be cloned, stored, timed and written by itself, some 25 µs, and here it is 2 µs. All
 * that is published in one turn of the event loop is one write.
 */
export class MqttOutbox {
  readonly #options: OutboxOptions;
  readonly #pending = new Map<number, Pending>();
  /** Published in this turn. */
  #unwritten: Publish[] = [];
  #flush: NodeJS.Immediate | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  publish(message: CloudMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      const { ids, watch } = this.#options;
      const id = ids.allocate();
      if (id === null) {
        reject(new Error('all packet ids are on their way'));
        return;
      }
      const pending = { resolve, reject };
      this.#pending.set(id, pending);
      watch.add(pending, reject);
      this.#unwritten.push({ message, id });
      // Not a microtask: acknowledgements that came together are handled one a tick.
      this.#flush ??= setImmediate(() => this.#writeAll());
    });
  }

  #writeAll(): void {
    const { write, protocolVersion } = this.#options;
    const publishes = this.#unwritten;
    this.#unwritten = [];
    this.#flush = undefined;
    write(encodePublishes(publishes, protocolVersion));
  }

  /** A PUBACK has come; 3.1.1 has no reasons. */
  answered(id: number, reasonCode = 0): void {
    const pending = this.#pending.get(id);
    // Of nothing that is on its way: the watch ends a link whose broker mixes up its ids.
    if (pending === undefined) return;
    const { ids, watch } = this.#options;
    this.#pending.delete(id);
    ids.deallocate(id);
    watch.delete(pending);
    if (reasonCode < 0x80) pending.resolve();
    else {
      const reason = `the cloud refused a record with reason 0x${reasonCode.toString(16)}`;
      pending.reject(new CloudRefusal(KINDS[reasonCode] ?? 'never', reason));
    }
  }

  /** The connection is gone: nothing is written any more. The watch tells those on their way. */
  end(): void {
    clearImmediate(this.#flush);
    this.#unwritten = [];
    this.#pending.clear();
  }
}
