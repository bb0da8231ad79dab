import type { LineCounts } from './line-counts.ts';
import type { SerialPort } from './serial-port.ts';

/** Some thousand answers: a device that reads none is not waited for. */
const MAX_WAITING_BYTES = 65_536;

/** Answers on their way to the device, as many in one write as there are. */
export class PortWriter {
  readonly #port: SerialPort;
  readonly #counts: LineCounts;
  /** Told once when the port fails. */
  readonly #onFailure: (error: unknown) => void;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;

  constructor(port: SerialPort, counts: LineCounts, onFailure: (error: unknown) => void) {
    this.#port = port;
    this.#counts = counts;
    this.#onFailure = onFailure;
  }

  /** What finds no room is dropped and counted: the device sends again what got no answer. */
  send(bytes: Uint8Array): void {
    if (this.#waitingBytes + bytes.length > MAX_WAITING_BYTES) {
      this.#counts.answersDropped += 1;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when all is written, or the port has failed. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    // Answers of the same moment go together.
    await Promise.resolve();
    try {
      while (this.#waiting.length > 0) {
        const bytes = Buffer.concat(this.#waiting);
        this.#waiting = [];
        this.#waitingBytes = 0;
        await this.#port.write(bytes);
      }
      this.#writing = undefined;
    } catch (error) {
      // It stays as it is: this port takes nothing any more.
      this.#onFailure(error);
    }
  }
}
