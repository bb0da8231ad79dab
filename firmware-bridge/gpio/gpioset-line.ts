import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { OutputLine } from '../../src/base/output-line.ts';
import type { Programs } from '../../src/os/programs.ts';
import { type Dialect, type HeldLine, holdArgs, onceArgs } from './gpiod-tools.ts';
import { KeptProgram } from './kept-program.ts';

export interface GpiosetOptions {
  readonly line: HeldLine;
  /** For people: `gpio 17`. */
  readonly called: string;
  readonly dialect: Dialect;
  readonly programs: Programs;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A child of a daemon that was killed just now has the line still, until it has ended as well. */
const BUSY_TRIES = 10;
const BUSY_WAIT_MS = 100;

/** Drives the line inactive, once. Rejects with the words of gpioset. */
async function driveInactive({ programs, dialect, line }: GpiosetOptions): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const { code, error } = await programs.ask('gpioset', onceArgs(dialect, line, false));
    if (code === 0) return;
    if (!/busy/i.test(error) || tries === BUSY_TRIES) {
      throw new Error(error || `gpioset ends with ${code}`);
    }
    await wait(BUSY_WAIT_MS);
  }
}

/**
 * A line that a child process (gpioset) holds: the kernel lets go of it with the process. Each
 * change is a new process, since Debian builds gpioset without its interactive mode; between the
 * two the line is nobody's for some milliseconds.
 */
export class GpiosetLine implements OutputLine {
  readonly name: string;
  readonly #options: GpiosetOptions;
  readonly #child: KeptProgram;
  #active = false;
  #closing: Promise<void> | undefined;

  private constructor(options: GpiosetOptions) {
    const { called, line, dialect, programs, clock, logger } = options;
    this.name = `${called} (gpioset ${dialect}, ${line.chip} line ${line.offset})`;
    this.#options = options;
    this.#child = new KeptProgram({
      ...{ command: 'gpioset', programs, clock, logger },
      lost: 'gpioset has ended, so the level of the alert line is unknown; it is started again',
    });
    this.#child.run(holdArgs(dialect, line, false));
  }

  /** Rejects with the words of gpioset if it can't drive the line. */
  static async open(options: GpiosetOptions): Promise<GpiosetLine> {
    await driveInactive(options);
    return new GpiosetLine(options);
  }

  set(active: boolean): void {
    if (this.#closing !== undefined || active === this.#active) return;
    const { dialect, line } = this.#options;
    this.#active = active;
    this.#child.run(holdArgs(dialect, line, active));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#child.stop();
    // The last level that was driven is the safe one; what the kernel then makes of the line is up
    // to the chip.
    if (this.#active) await driveInactive(this.#options);
  }
}
