/** One publish, from the call until its message has been emitted or has failed. */
interface Ticket {
  emit: (() => void) | undefined;
  isOver: boolean;
}

/**
 * Lets messages reach subscribers in the order in which they were published [MQTT-4.6.0]. Before
 * it emits a message, aedes stores it if it is retained and queues it for sessions that are away:
 * one that needs neither would overtake it, and a subscriber that has heard the later one drops the
 * earlier for a repeat, since aedes tells repeats by ascending numbers alone.
 */
export class PublishOrder {
  /** By the number that aedes gives the message. */
  readonly #byCounter = new Map<number, Ticket>();
  readonly #tickets: Ticket[] = [];
  #head = 0;

  /** A publish begins; `counter`: the number that its message will bear. */
  begin(counter: number): Ticket {
    const ticket = { emit: undefined, isOver: false };
    this.#byCounter.set(counter, ticket);
    this.#tickets.push(ticket);
    return ticket;
  }

  /** Its message is ready: `emit` is called when those before it have been emitted. */
  ready(counter: number, emit: () => void): void {
    const ticket = this.#byCounter.get(counter);
    if (ticket === undefined) {
      emit();
      return;
    }
    this.#byCounter.delete(counter);
    ticket.emit = emit;
    this.#advance();
  }

  /** It ended, perhaps without a message: nobody waits for it any more. */
  end(counter: number, ticket: Ticket): void {
    if (this.#byCounter.get(counter) === ticket) this.#byCounter.delete(counter);
    ticket.isOver = true;
    this.#advance();
  }

  #advance(): void {
    for (;;) {
      const ticket = this.#tickets[this.#head];
      if (ticket === undefined || (ticket.emit === undefined && !ticket.isOver)) break;
      this.#head += 1;
      ticket.emit?.();
    }
    if (this.#head === this.#tickets.length || this.#head >= COMPACT_AFTER) {
      this.#tickets.splice(0, this.#head);
      this.#head = 0;
    }
  }
}

const COMPACT_AFTER = 1_024;

type Done = (error?: Error | null) => void;

/** The part of aedes that is looked at here. */
export interface PublishingBroker {
  /** The number of the last message. */
  readonly counter: number;
  readonly mq: { emit(packet: { readonly brokerCounter: number }, done: Done): unknown };
  publish(packet: unknown, client: unknown, done?: Done): void;
}

/** Told of each publish: `begin` when it is asked for, `end` when it has reached subscribers. */
export interface PublishWatch {
  begin(client: unknown, packet: unknown): void;
  end(client: unknown, packet: unknown): void;
}

/** Puts `PublishOrder` between a broker's publish and what it emits. */
export function orderPublishes(broker: PublishingBroker, watch: PublishWatch): void {
  const order = new PublishOrder();
  const publish = broker.publish.bind(broker);
  const emit = broker.mq.emit.bind(broker.mq);
  broker.mq.emit = (packet, done) => {
    order.ready(packet.brokerCounter, () => emit(packet, done));
  };
  broker.publish = (packet, second, third) => {
    const [client, done] = typeof second === 'function' ? [null, second as Done] : [second, third];
    const counter = broker.counter + 1;
    const ticket = order.begin(counter);
    watch.begin(client, packet);
    publish(packet, client, (error) => {
      order.end(counter, ticket);
      watch.end(client, packet);
      done?.(error);
    });
  };
}
