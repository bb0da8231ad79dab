import { constants, read, write } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { codedMessageOf, codeOf, HeadgateError, messageOf } from '../../src/base/errors.ts';
import type { PortSettings, SerialPort } from './serial-port.ts';

type Way = 'readable' | 'writable';

/** What is used of a port of @serialport/bindings-cpp. */
interface Binding {
  readonly fd: number | null;
  readonly poller: { once(event: Way, done: (error: Error | null) => void): void };
  close(): Promise<void>;
}

interface Bindings {
  open(options: Readonly<Record<string, unknown>>): Promise<Binding>;
}

type Done = (error: Error | null, bytes: number) => void;

const CHUNK_BYTES = 4_096;
const AGAIN = new Set(['EAGAIN', 'EWOULDBLOCK', 'EINTR']);

/** Throws SERIAL_CLIENT_MISSING: the package is optional, and so is what is built of it. */
export async function loadBindings(): Promise<Bindings> {
  try {
    // Whole, not by name: so it is found in a bundle too.
    const { default: bindings } = await import('@serialport/bindings-cpp');
    return bindings.autoDetect() as Bindings;
  } catch (error) {
    throw new HeadgateError('SERIAL_CLIENT_MISSING', messageOf(error), { cause: error });
  }
}

/** What a name stands for just now: another device under the same name is another identity. */
async function identityOf(path: string): Promise<string> {
  const { dev, ino, rdev } = await stat(path);
  return [dev, ino, rdev].join(':');
}

/** The reasons that a person can mend, told apart before the driver has one word for all. */
async function check(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new HeadgateError('SERIAL_PORT_MISSING', path);
    if (code === 'EACCES' || code === 'EPERM') throw new HeadgateError('SERIAL_PORT_DENIED', path);
    throw new HeadgateError('SERIAL_PORT_UNUSABLE', `${path}: ${codedMessageOf(error)}`);
  }
  if ((await stat(path)).isCharacterDevice()) return;
  throw new HeadgateError('SERIAL_PORT_UNUSABLE', `${path} is no device`);
}

function openError(path: string, error: unknown): HeadgateError {
  const said = messageOf(error);
  const isTaken = /lock|busy|temporarily unavailable/i.test(said);
  const isDenied = /permission denied/i.test(said);
  const isMissing = /no such (file|device)/i.test(said);
  if (isTaken) return new HeadgateError('SERIAL_PORT_BUSY', path, { cause: error });
  if (isDenied) return new HeadgateError('SERIAL_PORT_DENIED', path, { cause: error });
  if (isMissing) return new HeadgateError('SERIAL_PORT_MISSING', path, { cause: error });
  return new HeadgateError('SERIAL_PORT_UNUSABLE', `${path}: ${said}`, { cause: error });
}

/** Throws SERIAL_PORT_MISSING, _DENIED, _BUSY, _UNUSABLE. */
export async function openPort(bindings: Bindings, settings: PortSettings): Promise<SerialPort> {
  const { path, baud, parity, stopBits, rtscts } = settings;
  await check(path);
  let identity: string;
  let binding: Binding;
  try {
    identity = await identityOf(path);
    binding = await bindings.open({
      ...{ path, baudRate: baud, dataBits: 8, parity, stopBits, rtscts },
      // Without it, DTR falls when this process ends, and boards that reset by DTR start anew.
      ...{ lock: true, hupcl: false, vmin: 1, vtime: 0 },
    });
  } catch (error) {
    throw openError(path, error);
  }
  return new NodePort(binding, path, identity);
}

/**
 * Reads and writes by itself and not through the binding: that takes the end of a terminal that was
 * hung up for a pause, and asks again and again.
 */
class NodePort implements SerialPort {
  readonly #binding: Binding;
  readonly #path: string;
  readonly #identity: string;
  readonly #chunk = Buffer.alloc(CHUNK_BYTES);
  /** Calls of the system on their way. They don't wait: none takes longer than a moment. */
  readonly #calls = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor(binding: Binding, path: string, identity: string) {
    this.#binding = binding;
    this.#path = path;
    this.#identity = identity;
  }

  async read(): Promise<Uint8Array> {
    while (true) {
      const bytes = await this.#call((fd, done) =>
        read(fd, this.#chunk, 0, CHUNK_BYTES, null, done),
      );
      if (bytes === 0) throw new Error('the line was hung up');
      if (bytes !== undefined) return this.#chunk.subarray(0, bytes);
      await this.#ready('readable');
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const from = done;
      const some = await this.#call((fd, then) => write(fd, bytes.subarray(from), then));
      if (some === undefined) await this.#ready('writable');
      else done += some;
    }
  }

  /** The bytes that a call has moved; undefined: it can move none yet. */
  #call(start: (fd: number, done: Done) => void): Promise<number | undefined> {
    const call = new Promise<number | undefined>((resolve, reject) => {
      const { fd } = this.#binding;
      if (fd === null || this.#isClosed) {
        reject(new Error('the port was closed'));
        return;
      }
      start(fd, (error, bytes) => {
        if (error === null) resolve(bytes);
        else if (AGAIN.has(codeOf(error))) resolve(undefined);
        else reject(error);
      });
    });
    const settled: Promise<void> = call.then(
      () => {},
      () => {},
    );
    this.#calls.add(settled);
    void settled.then(() => this.#calls.delete(settled));
    return call;
  }

  async #ready(way: Way): Promise<void> {
    if (this.#isClosed) throw new Error('the port was closed');
    await new Promise<void>((resolve, reject) => {
      this.#binding.poller.once(way, (error) => {
        // What is polled for a terminal that was hung up is a bad descriptor.
        if (error) reject(new Error('the line was hung up', { cause: error }));
        else resolve();
      });
    });
  }

  async isThere(): Promise<boolean> {
    try {
      return (await identityOf(this.#path)) === this.#identity;
    } catch {
      return false;
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // Its number may be another file's as soon as it is closed.
    await Promise.all(this.#calls);
    // A port that is gone may fail to close; there is nothing left to let go of.
    await this.#binding.close().catch(() => {});
  }
}
