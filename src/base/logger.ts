/**
 * Diagnostics. `log` always means the data; this is the other one. `os/logger.ts` implements it.
 * Repeats are collapsed. Two fields steer that and are not written: `repeatKey` keeps lines apart
 * that say the same of different things; `subject` names a thing whose state the line tells.
 */
export interface Logger {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** Says nothing: for command-line readers and unit tests. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
