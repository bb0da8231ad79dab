import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { ProgramEnd, Programs, RunningProgram } from '../../src/os/programs.ts';

export interface KeptProgramOptions {
  readonly command: string;
  readonly programs: Programs;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What is said when it ends by itself. */
  readonly lost: string;
  readonly onLine?: (line: string) => void;
  /** Told when it has ended by itself. */
  readonly onLost?: () => void;
}

/** One that lived shorter, and was started again for that before, must wait. */
const SHORT_LIFE_MS = 1_000;
const RETRY_MS = 1_000;
/** After that long a program that was asked to end is made to. */
const KILL_AFTER_MS = 500;

/**
 * One program that runs all the time: started again when it ends, at once unless that goes on, and
 * replaced when its arguments change. Two never run at a time: the kernel gives a line to one.
 */
export class KeptProgram {
  readonly #options: KeptProgramOptions;
  /** undefined: none is wanted. */
  #args: readonly string[] | undefined;
  #running: RunningProgram | undefined;
  #startedMs = 0;
  /** How many in a row have ended by themselves after a short life. */
  #shortLives = 0;
  /** It was asked to end. */
  #isEnding = false;
  #killTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #stopped: Array<() => void> = [];

  constructor(options: KeptProgramOptions) {
    this.#options = options;
  }

  /** Runs it with these arguments, as soon as the one that runs has ended. */
  run(args: readonly string[]): void {
    this.#args = args;
    if (this.#running === undefined) this.#start();
    else this.#end(this.#running);
  }

  /** Resolves once none runs. */
  async stop(): Promise<void> {
    this.#args = undefined;
    clearTimeout(this.#retryTimer);
    const running = this.#running;
    if (running === undefined) return;
    await new Promise<void>((resolve) => {
      this.#stopped.push(resolve);
      this.#end(running);
    });
  }

  #end(running: RunningProgram): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    running.kill('SIGTERM');
    this.#killTimer = setTimeout(() => running.kill('SIGKILL'), KILL_AFTER_MS);
  }

  #start(): void {
    clearTimeout(this.#retryTimer);
    if (this.#args === undefined) return;
    const { command, programs, clock, onLine } = this.#options;
    this.#startedMs = clock.monoMs();
    const running = programs.start(command, this.#args, onLine);
    this.#running = running;
    void running.ended.then((end) => this.#ended(end));
  }

  #ended({ code, error }: ProgramEnd): void {
    clearTimeout(this.#killTimer);
    this.#running = undefined;
    const wasAsked = this.#isEnding;
    this.#isEnding = false;
    if (this.#args === undefined) {
      for (const resolve of this.#stopped.splice(0)) resolve();
      return;
    }
    if (wasAsked) {
      this.#start();
      return;
    }
    const { command, clock, logger, lost, onLost } = this.#options;
    onLost?.();
    const fields = { code: 'GPIO_UNAVAILABLE', program: command, exit: code, error };
    logger.error(fields, lost);
    const isShort = clock.monoMs() - this.#startedMs < SHORT_LIFE_MS;
    this.#shortLives = isShort ? this.#shortLives + 1 : 0;
    if (this.#shortLives <= 1) this.#start();
    else this.#retryTimer = setTimeout(() => this.#start(), RETRY_MS).unref();
  }
}
