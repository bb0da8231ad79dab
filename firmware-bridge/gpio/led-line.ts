import { join } from 'node:path';
import { codeOf } from '../../src/base/errors.ts';
import type { OutputLine } from '../../src/base/output-line.ts';
import type { WriteAttribute } from '../../src/os/attribute.ts';
import type { Files } from '../../src/os/files.ts';

export const SYSFS_LEDS = '/sys/class/leds';

export interface LedOptions {
  readonly led: string;
  readonly activeLow: boolean;
  readonly files: Files;
  readonly writeAttribute: WriteAttribute;
  readonly folder?: string;
}

/** A line that the kernel has as an LED (`dtoverlay=gpio-led`): no library, no process. */
export class LedLine implements OutputLine {
  readonly name: string;
  readonly #levels: readonly [inactive: string, active: string];
  readonly #write: (level: string) => void;
  #active = false;
  #closed = false;

  private constructor(
    { led, activeLow, writeAttribute, folder = SYSFS_LEDS }: LedOptions,
    max: string,
  ) {
    this.name = `led ${led}`;
    this.#levels = activeLow ? [max, '0'] : ['0', max];
    this.#write = (level) => writeAttribute(join(folder, led, 'brightness'), level);
    try {
      // What the kernel shows on it of itself (the card, a heartbeat) would look like an alert.
      writeAttribute(join(folder, led, 'trigger'), 'none');
    } catch (error) {
      // A kernel without triggers.
      if (codeOf(error) !== 'ENOENT') throw error;
    }
    this.#write(this.#levels[0]);
  }

  /** Rejects with system errors, or if there is no such LED. */
  static async open(options: LedOptions): Promise<LedLine> {
    const path = join(options.folder ?? SYSFS_LEDS, options.led, 'max_brightness');
    const max = (await options.files.readText(path))?.trim() ?? '';
    if (!/^[1-9]\d*$/.test(max)) throw new Error(`no LED ${options.led}: ${path} has no number`);
    return new LedLine(options, max);
  }

  /** Throws system errors; the next call tries again. After `close` it does nothing. */
  set(active: boolean): void {
    if (this.#closed || active === this.#active) return;
    this.#write(this.#levels[active ? 1 : 0]);
    this.#active = active;
  }

  close(): void {
    if (this.#closed) return;
    try {
      this.set(false);
    } finally {
      this.#closed = true;
    }
  }
}
