import { connect, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { CheckAnswer, CheckRequest } from './check-protocol.ts';
import { onLines } from './line-socket.ts';

const TRIES = 600;
const TRY_EVERY_MS = 500;

/** The lab's end of a checker (checker.ts), which runs here or in a machine. */
export class Checker {
  readonly #socket: Socket;
  #settle: { take(line: string): void; fail(error: Error): void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    onLines(socket, (line) => this.#settle?.take(line));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#settle?.fail(new Error('the checker is gone')));
  }

  static async connect(port: number): Promise<Checker> {
    for (let i = 0; i < TRIES; i++) {
      const checker = await Checker.#try(port);
      if (checker !== undefined) return checker;
      await wait(TRY_EVERY_MS);
    }
    throw new Error('the checker does not answer');
  }

  /** QEMU takes a connection before anything in the machine does: only a greeting counts. */
  static #try(port: number): Promise<Checker | undefined> {
    return new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1');
      const checker = new Checker(socket);
      checker.#settle = {
        take: () => resolve(checker),
        fail: () => resolve(undefined),
      };
    });
  }

  /** One at a time. */
  check(request: CheckRequest): Promise<CheckAnswer> {
    return new Promise((resolve, reject) => {
      this.#settle = {
        take: (line) => resolve(JSON.parse(line) as CheckAnswer),
        fail: reject,
      };
      this.#socket.write(`${JSON.stringify(request)}\n`);
    });
  }

  close(): void {
    this.#settle = undefined;
    this.#socket.destroy();
  }
}
