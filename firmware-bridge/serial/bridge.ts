import { Backoff } from '../../src/base/backoff.ts';
import type { Clock, Random } from '../../src/base/clock.ts';
import { ERRORS, HeadgateError, messageOf } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import { unlessAborted } from '../../src/base/unless-aborted.ts';
import type { Fate } from '../device/device-client.ts';
import type { LineCounts } from './line-counts.ts';
import type { PortSession, SessionOptions } from './port-session.ts';
import { PortWriter } from './port-writer.ts';
import type { SerialPort } from './serial-port.ts';
import { Window } from './window.ts';

const REOPEN_MS = { baseMs: 250, maxMs: 5_000 };
/** A port that lasted this long was a good one: it is looked for at once when it is gone. */
const GOOD_PORT_MS = 10_000;
/** How often the name of an open port is looked up: not every driver says that it is gone. */
const LOOK_EVERY_MS = 1_000;
/** After the signal to stop, for readings whose PUBACK is awaited, and their answers. */
const DRAIN_MS = 2_000;

type Send = Pick<SessionOptions, 'publish' | 'send'>;

export interface BridgeOptions {
  /** The port by its name, for those who read of it. */
  readonly path: string;
  /** Readings without a PUBACK at a time. */
  readonly window: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly counts: LineCounts;
  open(): Promise<SerialPort>;
  newSession(send: Send): PortSession;
  /** Never rejects; may never resolve. */
  deliver(topic: string, payload: Uint8Array): Promise<Fate>;
  /** Waits; ends early when `signal` aborts. Never rejects. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

/** Aborts when any of them does. To be let go of, as the first may live for ever. */
function linked(parent: AbortSignal): { controller: AbortController; unlink: () => void } {
  const controller = new AbortController();
  const abort = () => controller.abort();
  if (parent.aborted) abort();
  parent.addEventListener('abort', abort);
  return { controller, unlink: () => parent.removeEventListener('abort', abort) };
}

/**
 * Keeps one port open, also over unplugging, and carries what it brings to the gateway. What a port
 * had on its way when it went is answered to nobody: the device sends it again.
 */
export class Bridge {
  readonly #options: BridgeOptions;
  readonly #window: Window;
  /** Why the port could not be opened the last time: said once, however often it is tried. */
  #trouble = '';

  constructor(options: BridgeOptions) {
    this.#options = options;
    this.#window = new Window(options.window);
  }

  /** Readings whose PUBACK is awaited. */
  get onTheWay(): number {
    return this.#window.used;
  }

  /** Until `signal` aborts. Errors of the port are logged, and the port is opened again. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, wait } = this.#options;
    const backoff = new Backoff({ ...REOPEN_MS, random });
    while (!signal.aborted) {
      const port = await this.#tryOpen();
      if (port !== undefined) {
        const openedMs = clock.monoMs();
        await this.#live(port, signal);
        if (clock.monoMs() - openedMs > GOOD_PORT_MS) backoff.reset();
      }
      if (!signal.aborted) await wait(backoff.nextMs(), signal);
    }
  }

  async #tryOpen(): Promise<SerialPort | undefined> {
    const { open, path, logger, counts } = this.#options;
    try {
      const port = await open();
      counts.opened += 1;
      this.#trouble = '';
      logger.info({ port: path, subject: path }, 'the port is open');
      return port;
    } catch (error) {
      const code = error instanceof HeadgateError ? error.code : 'SERIAL_PORT_UNUSABLE';
      const fields = { code, port: path, subject: path, error: messageOf(error) };
      if (this.#trouble !== fields.error) {
        logger.warn({ ...fields, mend: ERRORS[code].mend }, 'the port cannot be opened; trying on');
      }
      this.#trouble = fields.error;
      return undefined;
    }
  }

  /** From the opening of a port to its end. */
  async #live(port: SerialPort, signal: AbortSignal): Promise<void> {
    const { counts, logger, newSession, path } = this.#options;
    const { controller: life, unlink } = linked(signal);
    let why: unknown;
    const failed = (error: unknown) => {
      why ??= error;
      life.abort();
    };
    const writer = new PortWriter(port, counts, failed);
    const session = newSession({
      send: (bytes) => writer.send(bytes),
      publish: (topic, payload) => this.#publish(topic, payload),
    });
    const looking = this.#look(port, life.signal, failed);
    session.start();
    await this.#read(port, session, life.signal).catch(failed);
    if (signal.aborted && why === undefined) await this.#drain(writer);
    life.abort();
    unlink();
    await port.close();
    await looking;
    if (why === undefined) return;
    const fields = { port: path, subject: path, error: messageOf(why) };
    logger.warn(fields, 'the port is gone; it is opened again when it is back');
  }

  async #publish(topic: string, payload: Uint8Array): Promise<Fate> {
    this.#window.take();
    const fate = await this.#options.deliver(topic, payload);
    this.#window.give();
    return fate;
  }

  async #read(port: SerialPort, session: PortSession, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Closed while it reads, which is no failure.
      const bytes = await unlessAborted(port.read(), signal);
      if (bytes === undefined) return;
      for (const step of session.take(bytes)) {
        // The line is not read on until the gateway has taken what there is.
        await this.#window.room(signal);
        if (signal.aborted) return;
        step();
      }
    }
  }

  /** Sees that a port is gone where its driver says nothing, as while it is not read. */
  async #look(port: SerialPort, signal: AbortSignal, gone: (error: Error) => void): Promise<void> {
    while (!signal.aborted) {
      await this.#options.wait(LOOK_EVERY_MS, signal);
      if (!signal.aborted && !(await port.isThere())) gone(new Error('it was unplugged'));
    }
  }

  async #drain(writer: PortWriter): Promise<void> {
    const late = new AbortController();
    const timer = this.#options.wait(DRAIN_MS, late.signal).then(() => late.abort());
    await this.#window.empty(late.signal);
    await Promise.race([writer.flush(), timer]);
    late.abort();
    await timer;
  }
}
