/**
 * Diagnostics. `log` always means the data; this is the other one. `os/logger.ts` implements it.
 */
export interface Logger {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** Says nothing: for command-line readers and unit tests. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
