import { spawn } from 'node:child_process';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';

/** Whoever started this process and wants to hear from it: sd_notify(3). */
export interface ServiceManager {
  /** Assignments, `READY=1`. Returns at once, and never throws. */
  tell(assignments: readonly string[]): void;
}

export interface ServiceManagerOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly logger: Logger;
  /** Default: that of systemd. */
  readonly program?: string;
}

/** It waits for systemd to have read what it was told, 5 s at most. */
const PROGRAM_WITHIN_MS = 10_000;

/**
 * Speaks to systemd through `systemd-notify`, a program for each message: Node has no datagram
 * sockets of this kind. One message is on its way at a time; what comes meanwhile goes with the
 * next one, the newest value of each name. What can't be told is said once, and goes again with the
 * next message: `READY=1` comes only once. Undefined: nobody wants to hear.
 */
export function serviceManager(options: ServiceManagerOptions): ServiceManager | undefined {
  const { env, logger, program = 'systemd-notify' } = options;
  if ((env['NOTIFY_SOCKET'] ?? '') === '') return undefined;
  let isTelling = false;
  let hasComplained = false;
  const waiting = new Map<string, string>();
  let untold = new Map<string, string>();

  const complain = (error: string) => {
    if (hasComplained) return;
    hasComplained = true;
    logger.warn({ program, error }, 'systemd can not be told how the service is');
  };
  const told = (error: string | undefined) => {
    isTelling = false;
    if (error === undefined) untold.clear();
    else complain(error);
    next();
  };
  const next = () => {
    if (isTelling || waiting.size === 0) return;
    untold = new Map([...untold, ...waiting]);
    const assignments = [...untold.values()];
    // A daemon that is stuck by then must not be fed with an older word.
    untold.delete('WATCHDOG');
    waiting.clear();
    isTelling = true;
    try {
      const child = spawn(program, assignments, {
        env,
        stdio: 'ignore',
        timeout: PROGRAM_WITHIN_MS,
        killSignal: 'SIGKILL',
      });
      child.once('error', (error) => told(messageOf(error)));
      child.once('exit', (code, signal) =>
        told(code === 0 ? undefined : `it ended with ${signal ?? code}`),
      );
      child.unref();
    } catch (error) {
      isTelling = false;
      complain(messageOf(error));
    }
  };
  return {
    tell(assignments) {
      for (const one of assignments) waiting.set(one.split('=', 1)[0] ?? one, one);
      next();
    },
  };
}
