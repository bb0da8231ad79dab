import type { Logger } from '../base/logger.ts';

export interface OfflineLimits {
  /** Messages and bytes that wait for one session. */
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Bytes that wait for all sessions together. */
  readonly maxTotalBytes: number;
}

interface Queue {
  messages: number;
  bytes: number;
  refused: number;
}

/**
 * Bounds what is kept for sessions: beyond a limit the newest is not kept, counted, and logged once
 * per session. Readings are in the log whatever happens here.
 */
export class OfflineBound {
  readonly #limits: OfflineLimits;
  readonly #logger: Logger;
  readonly #queues = new Map<string, Queue>();
  #totalBytes = 0;

  constructor(limits: OfflineLimits, logger: Logger) {
    this.#limits = limits;
    this.#logger = logger;
  }

  /** Takes the place of one message if there is one left. */
  take(client: string, bytes: number): boolean {
    const { maxMessages, maxBytes, maxTotalBytes } = this.#limits;
    const queue = this.#queues.get(client) ?? { messages: 0, bytes: 0, refused: 0 };
    this.#queues.set(client, queue);
    const isFull =
      queue.messages >= maxMessages ||
      (queue.messages > 0 && queue.bytes + bytes > maxBytes) ||
      this.#totalBytes + bytes > maxTotalBytes;
    if (isFull) {
      this.#refuse(client, queue);
      return false;
    }
    queue.messages += 1;
    queue.bytes += bytes;
    this.#totalBytes += bytes;
    return true;
  }

  /**
   * One is delivered. Which one is not told, so it counts as one of average size; when the last is
   * gone nothing is left of them.
   */
  release(client: string): void {
    const queue = this.#queues.get(client);
    if (queue === undefined) return;
    if (queue.messages <= 1) {
      this.forget(client);
      return;
    }
    const bytes = Math.floor(queue.bytes / queue.messages);
    queue.messages -= 1;
    queue.bytes -= bytes;
    this.#totalBytes -= bytes;
  }

  /** Messages of this session have been refused since its queue was last empty. */
  hasRefused(client: string): boolean {
    return (this.#queues.get(client)?.refused ?? 0) > 0;
  }

  forget(client: string): void {
    const queue = this.#queues.get(client);
    if (queue === undefined) return;
    this.#queues.delete(client);
    this.#totalBytes -= queue.bytes;
    if (queue.refused === 0) return;
    const fields = { clientId: client, refused: queue.refused };
    this.#logger.warn(fields, 'a session whose queue was full missed messages');
  }

  #refuse(client: string, queue: Queue): void {
    queue.refused += 1;
    if (queue.refused > 1) return;
    const { messages, bytes } = queue;
    const fields = { clientId: client, messages, bytes, repeatKey: client };
    this.#logger.warn(fields, 'the queue of a session is full; its newest are not kept');
  }
}
