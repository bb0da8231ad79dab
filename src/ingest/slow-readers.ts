import type { Socket } from 'node:net';

export interface SlowReadersOptions {
  /** Bytes that may wait for one client. */
  readonly maxClientBytes: number;
  /** Bytes that may wait for all of them. */
  readonly maxBytes: number;
}

/**
 * Clients that read more slowly than they are written to. A publisher never waits for one: what it
 * can't take yet waits in its socket, up to a bound, and then it is cut off. aedes cuts it off too
 * when its socket stays full for too long. A session gets what it missed when it comes back.
 */
export class SlowReaders {
  readonly #options: SlowReadersOptions;
  /** Those whose socket is full. */
  readonly #full = new Set<Socket>();
  #isLookDue = false;

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
    this.#lookSoon();
    return true;
  }

  #watch(socket: Socket): void {
    this.#full.add(socket);
    const over = () => {
      this.#full.delete(socket);
      socket.off('drain', over);
      socket.off('close', over);
    };
    socket.on('drain', over);
    socket.on('close', over);
  }

  /** At all of them once a turn: at each delivery it would be as often as there are of them. */
  #lookSoon(): void {
    if (this.#isLookDue) return;
    this.#isLookDue = true;
    setImmediate(() => {
      this.#isLookDue = false;
      this.#keepWithin(this.#options.maxBytes);
    });
  }

  /** While too much waits in all, the one for whom most of it waits goes. */
  #keepWithin(maxBytes: number): void {
    // One that is cut off stays a little longer among them, until it is closed.
    const living = [...this.#full].filter(({ destroyed }) => !destroyed);
    let sum = 0;
    for (const { writableLength } of living) sum += writableLength;
    if (sum <= maxBytes) return;
    living.sort((a, b) => b.writableLength - a.writableLength);
    for (const socket of living) {
      if (sum <= maxBytes) return;
      sum -= socket.writableLength;
      this.#cutOff(socket, 'reads too slowly: too much waits in all');
    }
  }

  #cutOff(socket: Socket, why: string): void {
    socket.destroy(new Error(why));
  }
}
