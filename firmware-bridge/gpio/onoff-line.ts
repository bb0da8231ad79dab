import type { OutputLine } from '../../src/base/output-line.ts';

/** The part of onoff's Gpio that is used. */
export interface Gpio {
  writeSync(value: 0 | 1): void;
  unexport(): void;
}

export interface GpioConstructor {
  new (number: number, direction: 'low' | 'high', options: { activeLow: boolean }): Gpio;
}

/**
 * Loads onoff. It is optional: its native part may not have been built. Rejects if it is not there.
 */
export async function loadOnoff(): Promise<GpioConstructor> {
  const { Gpio } = await import('onoff');
  return Gpio as GpioConstructor;
}

/** A line of the header, driven through sysfs by onoff. */
export class OnoffLine implements OutputLine {
  readonly name: string;
  readonly #gpio: Gpio;
  #active = false;
  #closed = false;

  /**
   * Exports the line and drives it inactive in one step, so that it never flickers. Throws system
   * errors.
   */
  constructor(Gpio: GpioConstructor, pin: number, number: number, activeLow: boolean) {
    this.name = `gpio ${pin} (sysfs ${number})`;
    // `low` and `high` are levels of the wire, before activeLow is looked at.
    this.#gpio = new Gpio(number, activeLow ? 'high' : 'low', { activeLow });
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
