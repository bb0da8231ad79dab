/** A message as a source has it, whatever the protocol. */
export interface SinkMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** User properties or headers, as texts. */
  readonly properties: Readonly<Record<string, string>>;
}

/** Where sources bring their messages. */
export interface Intake {
  /** True once it is committed: acknowledge it. False: the sink ends before that; leave it. */
  take(message: SinkMessage): Promise<boolean>;
  /** Resolves once another message may be taken: what bounds memory while the database is away. */
  room(): Promise<void>;
}

export interface Source {
  /**
   * One connection, from its start to its end. Once `signal` aborts, nothing more is taken;
   * resolves when what was taken is acknowledged or left. Also resolves if it is to be run again at
   * once. Rejects if the connection can't be made or is lost.
   */
  run(intake: Intake, signal: AbortSignal): Promise<void>;
}

export interface SourceOptions {
  readonly url: string;
  /** A filter in the words of the protocol; its default for what the uplink sends. */
  readonly topic: string | undefined;
  /** Client id, durable consumer or consumer group: what the far side remembers progress by. */
  readonly name: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: Readonly<Partial<Record<'ca' | 'cert' | 'key', string>>>;
  readonly mqttVersion: 4 | 5;
  /** NATS: undefined finds the one that has the subject. */
  readonly stream: string | undefined;
  readonly sasl: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  /** NATS, Kafka: what a sink that is killed has taken is given to another after so long. */
  readonly takeoverMs: number;
  /** Says that the source is connected, and to what. */
  readonly onConnect: (what: string) => void;
}

/** The work that is on its way, to be waited for. */
export class Outstanding {
  readonly #all = new Set<Promise<unknown>>();

  /** `work` must not reject. */
  add(work: Promise<unknown>): void {
    this.#all.add(work);
    void work.then(() => this.#all.delete(work));
  }

  async settled(): Promise<void> {
    while (this.#all.size > 0) await Promise.all(this.#all);
  }
}

const onAborted = new WeakMap<AbortSignal, Promise<void>>();

/** Resolves once `signal` aborts. One listener for a signal, however many connections ask. */
export function aborted(signal: AbortSignal): Promise<void> {
  const known = onAborted.get(signal);
  if (known !== undefined) return known;
  const promise = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  onAborted.set(signal, promise);
  return promise;
}
