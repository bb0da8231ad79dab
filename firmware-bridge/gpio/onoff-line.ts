import type { OutputLine } from '../../src/base/output-line.ts';

/** The part of onoff's Gpio that is used. */
export interface Gpio {
  writeSync(value: 0 | 1): void;
  /** Calls at each edge, with the value just after it. */
  watch(onEdge: (error: Error | null | undefined, value: number) => void): void;
  unexport(): void;
}

export interface GpioConstructor {
  new (
    number: number,
    direction: 'low' | 'high' | 'in',
    edge: 'none' | 'both',
    options: { readonly activeLow: boolean },
  ): Gpio;
}

/**
 * Loads onoff. It is optional: its native part may not have been built. Rejects if it is not there.
 */
export async function loadOnoff(): Promise<GpioConstructor> {
  const { Gpio } = await import('onoff');
  return Gpio as GpioConstructor;
}

export interface SysfsLine {
  /** For people: `gpio 17`. */
  readonly called: string;
  readonly number: number;
  readonly activeLow: boolean;
}

/** A line driven through sysfs by onoff. */
export class OnoffLine implements OutputLine {
  readonly name: string;
  readonly #gpio: Gpio;
  #active = false;
  #closed = false;

  /**
   * Exports the line and drives it inactive in one step, so that it never flickers. Throws system
   * errors.
   */
  constructor(Gpio: GpioConstructor, { called, number, activeLow }: SysfsLine) {
    this.name = `${called} (sysfs ${number})`;
    // `low` and `high` are levels of the wire, before activeLow is looked at.
    this.#gpio = new Gpio(number, activeLow ? 'high' : 'low', 'none', { activeLow });
    // onoff ignores errors on a line that was exported before, as after a crash: this write finds
    // a line that can't be driven now rather than at the first alert.
    try {
      this.#gpio.writeSync(0);
    } catch (error) {
      this.#gpio.unexport();
      throw error;
    }
  }

  /** Throws system errors; the next call tries again. After `close` it does nothing. */
  set(active: boolean): void {
    // The descriptor is gone, and its number may be another file's by now.
    if (this.#closed || active === this.#active) return;
    this.#gpio.writeSync(active ? 1 : 0);
    this.#active = active;
  }

  close(): void {
    if (this.#closed) return;
    try {
      this.set(false);
    } finally {
      this.#closed = true;
      this.#gpio.unexport();
    }
  }
}
