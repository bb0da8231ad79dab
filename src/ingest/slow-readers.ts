import type { Socket } from 'node:net';

export interface SlowReadersOptions {
  /** Bytes that may wait for one client. */
  readonly maxClientBytes: number;
  /** Bytes that may wait for all of them. */
  readonly maxBytes: number;
  /** How long a client may leave its socket full, ms. */
  readonly drainMs: number;
}

interface Reader {
  /** Cut off when it fires. */
  readonly timer: NodeJS.Timeout;
}

/**
 * Subscribers that read more slowly than they are written to. A publisher never waits for one:
 * what it can't take yet waits in its socket, up to a bound and for a while, and then it is cut
 * off. A session gets what it missed when it comes back.
 */
export class SlowReaders {
  readonly #options: SlowReadersOptions;
  /** Those whose socket is full. */
  readonly #full = new Map<Socket, Reader>();

  constructor(options: SlowReadersOptions) {
    this.#options = options;
  }

  /** May more be written to it? Cuts off whoever has too much waiting. */
  takes(socket: Socket): boolean {
    if (socket.destroyed) return false;
    if (!socket.writableNeedDrain) return true;
    if (!this.#full.has(socket)) this.#watch(socket);
    if (socket.writableLength > this.#options.maxClientBytes) {
      this.#cutOff(socket, 'reads too slowly: too much waits for it');
      return false;
    }
    this.#keepWithin(this.#options.maxBytes);
    return !socket.destroyed;
  }

  #watch(socket: Socket): void {
    const late = () => this.#cutOff(socket, 'reads too slowly: its socket stayed full');
    const timer = setTimeout(late, this.#options.drainMs);
    timer.unref();
    this.#full.set(socket, { timer });
    const over = () => {
      clearTimeout(timer);
      this.#full.delete(socket);
      socket.off('drain', over);
      socket.off('close', over);
    };
    socket.on('drain', over);
    socket.on('close', over);
  }

  /** While too much waits in all, the one for whom most of it waits goes. */
  #keepWithin(maxBytes: number): void {
    let sum = 0;
    let largest: Socket | undefined;
    for (const socket of this.#full.keys()) {
      sum += socket.writableLength;
      if (socket.writableLength > (largest?.writableLength ?? -1)) largest = socket;
    }
    if (sum > maxBytes && largest !== undefined) {
      this.#cutOff(largest, 'reads too slowly: too much waits in all');
    }
  }

  #cutOff(socket: Socket, why: string): void {
    socket.destroy(new Error(why));
  }
}
