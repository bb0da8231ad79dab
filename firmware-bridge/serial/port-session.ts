import type { Clock } from '../../src/base/clock.ts';
import type { LineCounts } from './line-counts.ts';

/** What a session has to do with: the rest of the world, passed in. */
export interface SessionOptions {
  /** Names the device where it does not do so itself. */
  readonly device: string;
  /** What stands before the device in a topic. */
  readonly prefix: string;
  /** The longest body, or line. */
  readonly maxFrameBytes: number;
  readonly clock: Clock;
  readonly counts: LineCounts;
  /**
   * Resolves once the gateway has made it durable (`stored`), or has said that it never will
   * (`refused`). Never rejects.
   */
  publish(topic: string, payload: Uint8Array): Promise<'stored' | 'refused'>;
  /** Towards the device. */
  send(bytes: Uint8Array): void;
}

/**
 * One life of a port, from its opening to its end. It has no state that matters: readings without
 * an answer come again.
 */
export interface PortSession {
  /** When the port is open. */
  start(): void;
  /** What the port brought, as steps to be done in order. Each takes at most one reading on. */
  take(bytes: Uint8Array): ReadonlyArray<() => void>;
}

interface Outgoing {
  /** What tells it from others of this session; undefined: nothing does. */
  readonly key: string | undefined;
  readonly topic: string;
  readonly payload: Uint8Array;
}

/** Readings that are being published. A repeat of one of them is not published as well. */
export class OnTheWay {
  readonly #keys = new Set<string>();
  readonly #options: Pick<SessionOptions, 'counts' | 'publish'>;

  constructor(options: Pick<SessionOptions, 'counts' | 'publish'>) {
    this.#options = options;
  }

  /** Calls `answer` with what has become of it; for a repeat the first one is answered. */
  publish({ key, topic, payload }: Outgoing, answer: (isStored: boolean) => void): void {
    const { counts, publish } = this.#options;
    if (key !== undefined && this.#keys.has(key)) {
      counts.repeats += 1;
      return;
    }
    if (key !== undefined) this.#keys.add(key);
    void publish(topic, payload).then((fate) => {
      if (key !== undefined) this.#keys.delete(key);
      if (fate === 'stored') counts.stored += 1;
      answer(fate === 'stored');
    });
  }
}
