import type { Clock } from '../../src/base/clock.ts';
import { messageOf } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { AlertSignal, OutputLine } from '../../src/base/output-line.ts';
import type { Severity } from '../../src/base/verdict.ts';
import { levelAt, type Pattern } from './pattern.ts';

export interface PatternSignalOptions {
  readonly line: OutputLine;
  readonly patterns: Readonly<Record<Severity, Pattern>>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const RETRY_MS = 1_000;

/** Drives a line with the pattern of a severity. The first level is set before `show` returns. */
export class PatternSignal implements AlertSignal {
  readonly #options: PatternSignalOptions;
  #severity: Severity | undefined;
  #sinceMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: PatternSignalOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.line.name;
  }

  show(severity: Severity | undefined, isNew: boolean): void {
    const { patterns, clock } = this.#options;
    const pulses = severity !== undefined && patterns[severity].kind === 'pulse';
    if (severity !== this.#severity || (isNew && pulses)) this.#sinceMs = clock.monoMs();
    this.#severity = severity;
    this.#drive();
  }

  /** A line that can't be driven now is tried again until it can be. */
  #drive(): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const { line, logger } = this.#options;
    const { active, forMs } = this.#level();
    try {
      line.set(active);
      if (forMs !== undefined) this.#again(forMs);
    } catch (error) {
      const fields = { code: 'GPIO_UNAVAILABLE', line: line.name, error: messageOf(error) };
      logger.error(fields, 'the alert line could not be driven, trying again');
      this.#again(Math.min(forMs ?? RETRY_MS, RETRY_MS));
    }
  }

  #level(): { active: boolean; forMs?: number } {
    const { patterns, clock } = this.#options;
    if (this.#severity === undefined) return { active: false };
    return levelAt(patterns[this.#severity], clock.monoMs() - this.#sinceMs);
  }

  #again(ms: number): void {
    this.#timer = setTimeout(() => this.#drive(), Math.ceil(ms));
    this.#timer.unref();
  }

  close(): void | Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    return this.#options.line.close();
  }
}
