import type { Clock } from '../base/clock.ts';
import type { Fields } from './logger-fields.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';

export interface Line {
  readonly level: Level;
  readonly fields: Fields;
  readonly message: string;
}

interface Window {
  readonly line: Line;
  readonly sinceMs: number;
  readonly timer: NodeJS.Timeout;
  repeats: number;
}

export const REPEAT_WINDOW_MS = 60_000;
/** Messages are fixed texts in the code, so this is far more than there are. */
export const MAX_WINDOWS = 256;

/**
 * Writes the first line of its kind, counts the next ones for a minute, and then says how many
 * there were. Debug lines all go through: whoever turned them on wants each of them.
 */
export class RepeatFilter {
  readonly #clock: Clock;
  readonly #write: (line: Line) => void;
  readonly #windows = new Map<string, Window>();
  #closed = false;

  constructor(options: { clock: Clock; write: (line: Line) => void }) {
    this.#clock = options.clock;
    this.#write = options.write;
  }

  take(line: Line, apart: string): void {
    if (this.#closed || line.level === 'debug') {
      this.#write(line);
      return;
    }
    const key = [line.level, line.message, codeIn(line.fields), apart].join('\0');
    const window = this.#windows.get(key);
    // The timer may be late after a stall or a suspend; the clock decides.
    if (window !== undefined && this.#ageMs(window) < REPEAT_WINDOW_MS) {
      window.repeats += 1;
      return;
    }
    this.#end(key);
    const [oldest] = this.#windows.keys();
    if (this.#windows.size >= MAX_WINDOWS && oldest !== undefined) this.#end(oldest);
    const timer = setTimeout(() => this.#end(key), REPEAT_WINDOW_MS);
    // A summary is no reason to keep a process alive.
    timer.unref();
    this.#windows.set(key, { line, sinceMs: this.#clock.monoMs(), timer, repeats: 0 });
    this.#write(line);
  }

  flush(): void {
    for (const key of [...this.#windows.keys()]) this.#end(key);
  }

  close(): void {
    this.flush();
    this.#closed = true;
  }

  #ageMs(window: Window): number {
    return this.#clock.monoMs() - window.sinceMs;
  }

  #end(key: string): void {
    const window = this.#windows.get(key);
    if (window === undefined) return;
    this.#windows.delete(key);
    clearTimeout(window.timer);
    const { line, repeats } = window;
    if (repeats === 0) return;
    const seconds = Math.max(1, Math.round(this.#ageMs(window) / 1000));
    const code = codeIn(line.fields);
    this.#write({
      level: line.level,
      fields: code === '' ? {} : { code },
      message: `${line.message} repeated ${repeats} times in ${seconds} s`,
    });
  }
}

/** The code that makes a line another one: its own, or that of its error. */
function codeIn(fields: Fields): string {
  const error = fields['error'];
  const inner = typeof error === 'object' && error !== null ? (error as Fields)['code'] : undefined;
  const code = fields['code'] ?? inner;
  return typeof code === 'string' || typeof code === 'number' ? String(code) : '';
}
