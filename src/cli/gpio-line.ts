import type { GpioParts } from '../../firmware-bridge/gpio/backends.ts';
import type { GpioSettings } from '../../firmware-bridge/gpio/gpio-settings.ts';
import { systemClock } from '../base/clock.ts';
import { codeOf, HeadgateError } from '../base/errors.ts';
import { silentLogger } from '../base/logger.ts';
import { askControl } from '../ops/control-client.ts';
import { writeAttribute } from '../os/attribute.ts';
import { nodeFiles } from '../os/node-files.ts';
import { systemPrograms } from '../os/programs.ts';
import type { Io } from './command.ts';

/** What a command drives a line with. What goes wrong on the way is complained of. */
export function partsOf(io: Io): GpioParts {
  const logger = {
    ...silentLogger,
    error: (fields: Readonly<Record<string, unknown>>, message: string) =>
      io.complain(`${message}: ${fields['error']}`),
  };
  const programs = systemPrograms(io.env);
  return { files: nodeFiles, programs, writeAttribute, clock: systemClock, logger };
}

/** Throws GPIO_IN_USE if a daemon drives the configured line: two would fight over it. */
export async function refuseIfDriven(socket: string): Promise<void> {
  let line: string;
  try {
    ({ alertLine: line } = (await askControl(socket, '/status')) as { alertLine: string });
  } catch (error) {
    if (codeOf(error) === 'NOT_RUNNING') return;
    throw error;
  }
  if (line !== 'logged') throw new HeadgateError('GPIO_IN_USE', `the daemon drives ${line}`);
}

/** Whether there is anything that could be driven. */
export function isConfigured({ backend, pin, led }: GpioSettings): boolean {
  return backend !== 'logged' && (pin !== undefined || led !== '');
}
