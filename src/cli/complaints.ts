import type { Logger } from '../base/logger.ts';
import type { Io } from './command.ts';

/** For commands that open a store: what goes wrong on the way is said, the rest is not. */
export function complaints(io: Io): Logger {
  const say = (fields: Readonly<Record<string, unknown>>, message: string) =>
    io.complain(`headgate: ${message} ${JSON.stringify(fields)}`);
  return { debug: () => {}, info: () => {}, warn: say, error: say };
}
