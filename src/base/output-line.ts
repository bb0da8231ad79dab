/**
 * A line that something listens to: a siren, a lamp, a relay. `firmware-bridge/gpio` implements it.
 */
export interface OutputLine {
  /** What it is, for logs and status: `gpio 17 (sysfs 529)`, `logged`. */
  readonly name: string;
  /** Drives the line. Setting what is already set is allowed and does nothing. */
  set(active: boolean): void;
  /** Leaves the line at its safe (inactive) level and lets go of it. */
  close(): void;
}
