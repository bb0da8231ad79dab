import { messageOf } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { OutputLine } from '../../src/base/output-line.ts';
import type { Files } from '../../src/os/files.ts';
import { sysfsNumber } from './gpio-base.ts';
import { LoggedLine } from './logged-line.ts';
import { type GpioConstructor, loadOnoff, OnoffLine } from './onoff-line.ts';

export interface LineOptions {
  /** BCM number; undefined: no line is wanted, alerts are logged. */
  readonly pin: number | undefined;
  readonly activeLow: boolean;
  readonly files: Files;
  readonly logger: Logger;
  readonly sysfsFolder?: string;
  readonly load?: () => Promise<GpioConstructor>;
}

/**
 * The line that alerts drive. Where the one that is wanted can't be had, alerts are logged and the
 * reason is said: the gateway must not stay down for a lamp.
 */
export async function openLine(options: LineOptions): Promise<OutputLine> {
  const { pin, activeLow, files, logger, load = loadOnoff } = options;
  const folder = options.sysfsFolder ?? '/sys/class/gpio';
  if (pin === undefined) return new LoggedLine(logger);
  try {
    const number = await sysfsNumber(files, folder, pin);
    if (number === undefined) {
      throw new Error(`no GPIO chip of a Raspberry Pi header with pin ${pin} in ${folder}`);
    }
    return new OnoffLine(await load(), pin, number, activeLow);
  } catch (error) {
    const fields = { code: 'GPIO_UNAVAILABLE', pin, error: messageOf(error) };
    logger.warn(fields, 'the alert line cannot be driven; alerts are logged');
    return new LoggedLine(logger);
  }
}
