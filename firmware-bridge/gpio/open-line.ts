import { HeadgateError, messageOf } from '../../src/base/errors.ts';
import type { OutputLine } from '../../src/base/output-line.ts';
import { backendsOf, type GpioParts, type Way, wayBy } from './backends.ts';
import type { GpioSettings } from './gpio-settings.ts';
import { LoggedLine } from './logged-line.ts';

/** What came of looking for a way to drive the line. */
export interface Opened {
  /** undefined: none is wanted, or none that is wanted can be had. */
  readonly line: OutputLine | undefined;
  readonly way: Way | undefined;
  /** Why not by those that were tried before: `onoff: no chip …`. */
  readonly passedOver: readonly string[];
}

/** Tries what is configured, in order, and takes the first that can drive the line now. */
export async function tryLine(settings: GpioSettings, parts: GpioParts): Promise<Opened> {
  const passedOver: string[] = [];
  for (const backend of backendsOf(settings)) {
    const way = await wayBy(backend, settings, parts);
    if (typeof way === 'string') {
      passedOver.push(`${backend}: ${way}`);
      continue;
    }
    try {
      return { line: await way.open(), way, passedOver };
    } catch (error) {
      passedOver.push(`${backend}: ${messageOf(error)}`);
    }
  }
  return { line: undefined, way: undefined, passedOver };
}

/**
 * The line that alerts drive. Where the one that is wanted can't be had, alerts are logged and the
 * reason is said: the gateway must not stay down for a lamp.
 */
export async function openLine(settings: GpioSettings, parts: GpioParts): Promise<OutputLine> {
  const { logger } = parts;
  const { line, way, passedOver } = await tryLine(settings, parts);
  if (line !== undefined) {
    const fields = { line: line.name, ...(passedOver.length === 0 ? {} : { passedOver }) };
    logger.info(fields, `the alert line is ${way?.text}`);
    return line;
  }
  if (passedOver.length > 0) {
    const fields = { code: 'GPIO_UNAVAILABLE', pin: settings.pin, error: passedOver.join('; ') };
    logger.warn(fields, 'the alert line cannot be driven; alerts are logged');
  }
  return new LoggedLine(logger);
}

/** The line itself, or GPIO_UNAVAILABLE with why not: for who asks to see it. */
export async function openRealLine(settings: GpioSettings, parts: GpioParts): Promise<OutputLine> {
  const { line, passedOver } = await tryLine(settings, parts);
  if (line !== undefined) return line;
  const detail = passedOver.join('; ') || 'no line is configured: gpio.pin, or gpio.led';
  throw new HeadgateError('GPIO_UNAVAILABLE', detail);
}
