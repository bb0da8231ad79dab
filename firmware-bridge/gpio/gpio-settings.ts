import type { Severity } from '../../src/base/verdict.ts';
import type { Pattern } from './pattern.ts';

export const BACKENDS = ['auto', 'onoff', 'gpioset', 'led', 'logged'] as const;

/** What is configured of the alert line and of its button. */
export interface GpioSettings {
  readonly backend: (typeof BACKENDS)[number];
  /** BCM number, or the offset of a line of `chip`. */
  readonly pin?: number | undefined;
  /** Name below /sys/class/leds; empty: none. */
  readonly led: string;
  /** Label or name of the chip; empty: that of a Raspberry Pi's header. */
  readonly chip: string;
  readonly activeLow: boolean;
  readonly pattern: Readonly<Record<Severity, Pattern>>;
  readonly ackPin?: number | undefined;
  readonly ackActiveLow: boolean;
  readonly ackDebounceMs: number;
}
