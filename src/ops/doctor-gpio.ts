import {
  backendsOf,
  type GpioParts,
  type Way,
  wayBy,
} from '../../firmware-bridge/gpio/backends.ts';
import type { GpioSettings } from '../../firmware-bridge/gpio/gpio-settings.ts';
import type { WriteBar } from '../os/attribute.ts';
import type { Check } from './doctor.ts';

/** Whom and what a check is about. */
export interface GpioQuestion {
  readonly settings: GpioSettings;
  readonly parts: GpioParts;
  readonly writeBar: WriteBar;
  readonly user: string;
  /** What mends onoff, if it can't be loaded. */
  readonly onoffMend?: string | undefined;
}

function rightsMend({ backend, path }: Way, user: string): string {
  if (backend !== 'led') return `sudo usermod -aG gpio ${user}`;
  const trigger = path.replace(/brightness$/, 'trigger');
  return `sudo chgrp gpio ${path} ${trigger} && sudo chmod g+w ${path} ${trigger}`;
}

/**
 * Which backend drives the line and why, and whether this user may. Opens nothing: the daemon may
 * have the line just now.
 */
export async function gpioChecks(question: GpioQuestion): Promise<Check[]> {
  const { settings, parts, writeBar, user } = question;
  const backends = backendsOf(settings);
  if (backends.length === 0) {
    const why = settings.backend === 'logged' ? 'gpio.backend is logged' : 'gpio.pin is not set';
    return [{ check: 'gpio', state: 'ok', says: `alerts are logged: ${why}` }];
  }
  const passedOver: string[] = [];
  const barred: Array<{ readonly way: Way; readonly bar: string }> = [];
  for (const backend of backends) {
    const way = await wayBy(backend, settings, parts);
    if (typeof way === 'string') {
      passedOver.push(`not by ${backend}: ${way}`);
      continue;
    }
    const bar = await writeBar(way.path);
    if (bar === undefined) {
      const says = [way.text, ...passedOver].join('; ');
      const rights = `${user} may write to ${way.path}`;
      return [
        { check: 'gpio', state: 'ok', says },
        { check: 'gpio rights', state: 'ok', says: rights },
      ];
    }
    barred.push({ way, bar });
    passedOver.push(`not by ${backend}: ${user} may not write to ${way.path} (${bar})`);
  }
  const [first] = barred;
  if (first === undefined) {
    const needsTools = passedOver.some((reason) => reason.includes('is not installed ('));
    const needsOnoff = passedOver.some((reason) => reason.includes('onoff cannot be loaded'));
    const other = (needsOnoff && question.onoffMend) || 'headgate gpio list';
    const mend = needsTools ? 'sudo apt-get install -y gpiod' : other;
    const says = `the line cannot be driven, alerts are logged; ${passedOver.join('; ')}`;
    return [{ check: 'gpio', state: 'fail', says, mend }];
  }
  const mend = rightsMend(first.way, user);
  return [
    { check: 'gpio', state: 'ok', says: `${first.way.text}, if that is allowed` },
    { check: 'gpio rights', state: 'fail', says: passedOver.join('; '), mend },
  ];
}
