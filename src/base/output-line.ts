import type { Severity } from './verdict.ts';

/**
 * A line that something listens to: a siren, a lamp, a relay. `firmware-bridge/gpio` implements it.
 */
export interface OutputLine {
  /** What it is, for logs and status: `gpio 17 (sysfs 529)`, `logged`. */
  readonly name: string;
  /**
   * Drives the line: at once where the kernel is written to, as soon as a process can where one
   * holds it. Setting what is already set is allowed and does nothing.
   */
  set(active: boolean): void;
  /** Leaves the line at its safe (inactive) level and lets go of it. */
  close(): void | Promise<void>;
}

/** What shows people the gravest of the alerts. Drives an output line; never throws. */
export interface AlertSignal {
  /** That of its line. */
  readonly name: string;
  /** undefined: there is nothing to show. `isNew`: an alert has begun just now. */
  show(severity: Severity | undefined, isNew: boolean): void;
  /** Leaves the line at its safe level and lets go of it. */
  close(): void | Promise<void>;
}
