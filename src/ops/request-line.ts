import type { Socket } from 'node:net';

/**
 * The requests of each connection, one after the other: each is handled when the answer before it
 * has been taken. HTTP lets a client write as many at once as it likes, and all the answers would
 * wait for it in memory.
 */
export class RequestLine {
  readonly #max: number;
  readonly #lines = new WeakMap<Socket, { length: number; last: Promise<void> }>();

  /** `max`: requests in one line, with the one that is handled. More end the connection. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Resolves when the work is done, or its connection is gone before its turn. */
  async add(socket: Socket, work: () => Promise<void>): Promise<void> {
    const line = this.#lines.get(socket) ?? { length: 0, last: Promise.resolve() };
    this.#lines.set(socket, line);
    if (line.length >= this.#max) {
      socket.destroy();
      return;
    }
    line.length += 1;
    const before = line.last;
    const done = (async () => {
      await before;
      try {
        if (!socket.destroyed) await work();
      } finally {
        line.length -= 1;
      }
    })();
    line.last = done.catch(() => {
      // Whoever waits for this one is told; the next one has its turn.
    });
    await done;
  }
}
