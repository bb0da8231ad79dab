import * as v from 'valibot';
import { BACKENDS } from '../../firmware-bridge/gpio/gpio-settings.ts';
import { PATTERN_KINDS } from '../../firmware-bridge/gpio/pattern.ts';
import { SEVERITIES, type Severity } from '../base/verdict.ts';
import { choice, flag, matching, optional, text, whole } from './config-kinds.ts';

/** The settings of the alert line and its button: see `config.ts`. */

/** Beyond any chip that has a line for people. */
const MAX_LINE = 511;
const MOST_MS = 600_000;

const LED = matching(/^(?!\.{1,2}$)[^/\0]{0,64}$/, 'a name below /sys/class/leds, or empty');
const CHIP = matching(/^[A-Za-z0-9@_.,:+-]{0,64}$/, 'up to 64 of A-Z a-z 0-9 @ _ . , : + -');

const pattern = (of: Severity) =>
  v.nullish(
    v.strictObject({
      kind: choice(
        PATTERN_KINDS,
        'steady',
        `How the line shows that the gravest alert is ${of}: active all the time, in turn, or ` +
          'once for each alert that begins.',
      ),
      onMs: whole(500, 20, MOST_MS, 'How long `blink` and `pulse` are active, in ms.'),
      offMs: whole(500, 20, MOST_MS, 'How long `blink` is inactive between, in ms.'),
    }),
    {},
  );

export const gpio = v.strictObject({
  backend: choice(
    BACKENDS,
    'auto',
    'What drives the line: sysfs by the package onoff, a gpioset process of libgpiod 1 or 2, or ' +
      'an LED of the kernel; `auto` takes the first that works, and logs why. `logged`: none.',
  ),
  pin: optional(
    0,
    MAX_LINE,
    'BCM number of the line that is active during an alert; with `gpio.chip`, its number on that ' +
      'chip. None: alerts are logged.',
  ),
  led: text('', LED, 'LED that is lit during an alert, in place of a line (see gpio.md).'),
  chip: text(
    '',
    CHIP,
    'Chip that the lines are on, by its label or name (`headgate gpio list`). Empty: that of the ' +
      'header of a Raspberry Pi, so only machines that are none need it.',
  ),
  activeLow: flag(false, 'The line is low during an alert, and high otherwise.'),
  pattern: v.nullish(
    v.strictObject(
      Object.fromEntries(SEVERITIES.map((severity) => [severity, pattern(severity)])) as Record<
        Severity,
        ReturnType<typeof pattern>
      >,
    ),
    {},
  ),
  latch: flag(
    false,
    'The line goes on showing an alert that has ended until somebody acknowledges it.',
  ),
  ackPin: optional(
    0,
    MAX_LINE,
    'Line of a button that acknowledges all alerts, numbered like `gpio.pin`. None: no button.',
  ),
  ackActiveLow: flag(true, 'The button pulls its line low, as one to ground does.'),
  ackDebounceMs: whole(30, 1, 5_000, 'How long the button must be held, in ms.'),
});
