import type { Clock } from '../base/clock.ts';
import type { Fields } from './logger-fields.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';

export interface Line {
  readonly level: Level;
  readonly fields: Fields;
  readonly message: string;
}

interface Window {
  /** The first of its kind; of a subject, the last that was held back. */
  line: Line;
  readonly subject: string | undefined;
  readonly sinceMs: number;
  readonly timer: NodeJS.Timeout;
  shown: number;
  repeats: number;
}

/** What belongs together. */
export interface Kind {
  /** Keeps lines apart that would fall together. */
  readonly apart?: string;
  /** Something that changes its state: its lines belong together, whatever they say. */
  readonly subject?: string;
}

export const REPEAT_WINDOW_MS = 60_000;
/** Messages are fixed texts in the code, so this is far more than there are. */
export const MAX_WINDOWS = 256;
/** Changes of one subject that are shown at once within a window. */
export const MAX_CHANGES = 8;

/**
 * Writes the first line of its kind, counts the next ones for a minute, and then says how many
 * there were. Of a subject it writes the first few, and in the end the last: what it says of a link
 * that flaps is true a minute later. Debug lines all go through: whoever turned them on wants each
 * of them.
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

  take(line: Line, { apart = '', subject }: Kind): void {
    if (this.#closed || line.level === 'debug') {
      this.#write(line);
      return;
    }
    const key =
      subject === undefined
        ? [line.level, line.message, codeIn(line.fields), apart].join('\0')
        : `\0${subject}`;
    const window = this.#windows.get(key);
    // The timer may be late after a stall or a suspend; the clock decides.
    if (window !== undefined && this.#ageMs(window) < REPEAT_WINDOW_MS) {
      this.#again(window, line);
      return;
    }
    this.#end(key);
    const [oldest] = this.#windows.keys();
    if (this.#windows.size >= MAX_WINDOWS && oldest !== undefined) this.#end(oldest);
    const timer = setTimeout(() => this.#end(key), REPEAT_WINDOW_MS);
    // A summary is no reason to keep a process alive.
    timer.unref();
    const sinceMs = this.#clock.monoMs();
    this.#windows.set(key, { line, subject, sinceMs, timer, shown: 1, repeats: 0 });
    this.#write(line);
  }

  #again(window: Window, line: Line): void {
    if (window.subject !== undefined && window.shown < MAX_CHANGES) {
      window.shown += 1;
      this.#write(line);
      return;
    }
    window.repeats += 1;
    if (window.subject !== undefined) window.line = line;
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
    const { line, subject, repeats } = window;
    if (repeats === 0) return;
    const seconds = Math.max(1, Math.round(this.#ageMs(window) / 1000));
    if (subject !== undefined) {
      const message = `${line.message} (the last of ${repeats} changes in ${seconds} s)`;
      this.#write({ ...line, message });
      return;
    }
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
