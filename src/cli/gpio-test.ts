import { setTimeout as wait } from 'node:timers/promises';
import type { GpioSettings } from '../../firmware-bridge/gpio/gpio-settings.ts';
import { openRealLine } from '../../firmware-bridge/gpio/open-line.ts';
import { patternText } from '../../firmware-bridge/gpio/pattern.ts';
import { PatternSignal } from '../../firmware-bridge/gpio/pattern-signal.ts';
import { HeadgateError } from '../base/errors.ts';
import { SEVERITIES, type Severity } from '../base/verdict.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, textValue, whole } from './command.ts';
import { isConfigured, partsOf, refuseIfDriven } from './gpio-line.ts';
import { readSettings } from './settings.ts';

const SECONDS = 3;
const MOST_SECONDS = 3_600;

/** Severities whose patterns look the same are shown once. */
function groups(settings: GpioSettings): Array<{ severity: Severity; text: string; of: string }> {
  const byText = new Map<string, Severity[]>();
  for (const severity of SEVERITIES) {
    const text = patternText(settings.pattern[severity]);
    byText.set(text, [...(byText.get(text) ?? []), severity]);
  }
  return [...byText].flatMap(([text, of]) =>
    of[0] === undefined ? [] : [{ severity: of[0], text, of: of.join(', ') }],
  );
}

function toSee({ activeLow }: GpioSettings, name: string): string {
  if (name.startsWith('led ')) return `the LED is ${activeLow ? 'dark' : 'lit'}`;
  return `the wire is ${activeLow ? 'low (0 V)' : 'high (3.3 V on a Raspberry Pi)'}`;
}

/** A line that is named is tried whatever else is configured. */
function settingsFor(gpio: GpioSettings, pin: number | undefined): GpioSettings {
  if (pin === undefined) return gpio;
  const isOther = gpio.backend === 'led' || gpio.backend === 'logged';
  return { ...gpio, pin, led: '', backend: isOther ? 'auto' : gpio.backend };
}

export const gpioTest: Command = {
  name: 'gpio test',
  usage: 'headgate gpio test [--pin N] [--seconds S] [--config FILE] [--data DIR]',
  summary: 'drives the alert line as alerts would, and says what is to be seen',
  options: {
    ...CONFIG_OPTION,
    ...DATA_OPTION,
    pin: { type: 'string' },
    seconds: { type: 'string' },
  },
  optionHelp: {
    pin: 'this line instead of gpio.pin',
    seconds: `for how long each pattern is shown; ${SECONDS} by default`,
  },
  positionals: [0, 0],
  async run(values, _, io) {
    const typedPin = textValue(values, 'pin');
    const pin = typedPin === undefined ? undefined : whole('pin', typedPin, 0, 511);
    const seconds = whole('seconds', textValue(values, 'seconds') ?? `${SECONDS}`, 1, MOST_SECONDS);
    const { config, data } = await readSettings(values, io.env);
    const settings = settingsFor(config.gpio, pin);
    if (!isConfigured(settings)) {
      const detail = 'no line is configured: set gpio.pin or gpio.led, or name one with --pin';
      throw new HeadgateError('USAGE', detail);
    }
    if (pin === undefined || pin === config.gpio.pin) await refuseIfDriven(data.socket);
    const parts = partsOf(io);
    const line = await openRealLine(settings, parts);
    const signal = new PatternSignal({ ...parts, line, patterns: settings.pattern });
    const interrupt = new AbortController();
    const onSignal = () => interrupt.abort();
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, onSignal);
    try {
      io.print(`${line.name}: active means that ${toSee(settings, line.name)}.`);
      for (const { severity, text, of } of groups(settings)) {
        io.print(`${of}: ${text}, for ${seconds} s`);
        signal.show(severity, true);
        await wait(seconds * 1_000, undefined, { signal: interrupt.signal });
      }
    } catch (error) {
      if (!interrupt.signal.aborted) throw error;
    } finally {
      await signal.close();
    }
    io.print('The line is inactive again.');
    return interrupt.signal.aborted ? 130 : 0;
  },
};
