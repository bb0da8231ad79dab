import { join } from 'node:path';
import type { Clock } from '../../src/base/clock.ts';
import { messageOf } from '../../src/base/errors.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { OutputLine } from '../../src/base/output-line.ts';
import type { WriteAttribute } from '../../src/os/attribute.ts';
import type { Files } from '../../src/os/files.ts';
import type { Programs } from '../../src/os/programs.ts';
import { type Chip, chipOf, hasLine, SYSFS_GPIO, sysfsChips, wantedChip } from './chips.ts';
import type { GpioSettings } from './gpio-settings.ts';
import { type Dialect, detectedChips, dialectOf, type HeldLine } from './gpiod-tools.ts';
import { GpiosetLine } from './gpioset-line.ts';
import { LedLine, SYSFS_LEDS } from './led-line.ts';
import { type GpioConstructor, loadOnoff, OnoffLine } from './onoff-line.ts';

/** What a line is made of and opened with. */
export interface GpioParts {
  readonly files: Files;
  readonly programs: Programs;
  readonly writeAttribute: WriteAttribute;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly load?: () => Promise<GpioConstructor>;
}

/** A way to drive a line that is there. */
export interface Way {
  readonly backend: 'onoff' | 'gpioset' | 'led';
  /** `gpio 17 by onoff: pinctrl-bcm2711, sysfs 529`. */
  readonly text: string;
  /** The file that whoever opens it must be allowed to write to. */
  readonly path: string;
  /** Rejects with system errors, or with the words of the program. */
  open(): Promise<OutputLine>;
}

/** A chip's line that sysfs numbers. */
export interface NumberedLine {
  readonly chip: Chip;
  readonly number: number;
}

/** undefined or text: why there is none. */
export type Found<T> = T | string;

/**
 * The sysfs number of a line. Kernels from 6.6 on number lines from a base that differs between
 * boards and builds, so it is read from the chip.
 */
export async function numberedLine(
  files: Files,
  chip: string,
  pin: number,
): Promise<Found<NumberedLine>> {
  let chips: Chip[];
  try {
    chips = await sysfsChips(files);
  } catch (error) {
    return messageOf(error);
  }
  const found = chipOf(chips, chip);
  if (found?.base === undefined) return `no ${wantedChip(chip)} in ${SYSFS_GPIO}`;
  if (!hasLine(found, pin)) return `${found.label} has ${found.lines} lines, and no line ${pin}`;
  return { chip: found, number: found.base + pin };
}

/** The line for the tools of libgpiod, and which of these there are. */
export async function heldLine(
  programs: Programs,
  tool: 'gpioset' | 'gpiomon',
  line: { readonly chip: string; readonly pin: number; readonly activeLow: boolean },
): Promise<Found<{ readonly line: HeldLine; readonly label: string; readonly dialect: Dialect }>> {
  const dialect = await dialectOf(programs, tool);
  if (dialect === undefined) return `${tool} is not installed (Debian: apt install gpiod)`;
  const chips = await detectedChips(programs);
  if (typeof chips === 'string') return chips;
  const chip = chipOf(chips, line.chip);
  if (chip?.name === undefined) return `gpiodetect has no ${wantedChip(line.chip)}`;
  const { label, lines, name } = chip;
  if (!hasLine(chip, line.pin)) return `${label} has ${lines} lines, and no line ${line.pin}`;
  const { pin: offset, activeLow } = line;
  return { line: { chip: name, offset, activeLow }, label, dialect };
}

function calledPin({ chip }: GpioSettings, pin: number): string {
  return chip === '' ? `gpio ${pin}` : `${chip} line ${pin}`;
}

async function byOnoff(settings: GpioSettings, parts: GpioParts): Promise<Found<Way>> {
  const { pin, activeLow } = settings;
  if (pin === undefined) return 'gpio.pin is not set';
  const { files, load = loadOnoff } = parts;
  const found = await numberedLine(files, settings.chip, pin);
  if (typeof found === 'string') return found;
  let Gpio: GpioConstructor;
  try {
    Gpio = await load();
  } catch (error) {
    return `onoff cannot be loaded: ${messageOf(error).split('\n', 1)[0]}`;
  }
  const { chip, number } = found;
  const called = calledPin(settings, pin);
  const own = join(SYSFS_GPIO, `gpio${number}`, 'value');
  const isExported = (await files.kindOf(own)) !== undefined;
  return {
    backend: 'onoff',
    text: `${called} by onoff: ${chip.label}, sysfs ${number}`,
    path: isExported ? own : join(SYSFS_GPIO, 'export'),
    open: async () => new OnoffLine(Gpio, { called, number, activeLow }),
  };
}

async function byGpioset(settings: GpioSettings, parts: GpioParts): Promise<Found<Way>> {
  const { pin, chip, activeLow } = settings;
  if (pin === undefined) return 'gpio.pin is not set';
  const found = await heldLine(parts.programs, 'gpioset', { chip, pin, activeLow });
  if (typeof found === 'string') return found;
  const { line, label, dialect } = found;
  const called = calledPin(settings, pin);
  return {
    backend: 'gpioset',
    text: `${called} by gpioset of libgpiod ${dialect}: ${label}, ${line.chip} line ${pin}`,
    path: join('/dev', line.chip),
    open: () => GpiosetLine.open({ line, called, dialect, ...parts }),
  };
}

async function byLed({ led, activeLow }: GpioSettings, parts: GpioParts): Promise<Found<Way>> {
  if (led === '') return 'gpio.led is not set';
  const path = join(SYSFS_LEDS, led, 'brightness');
  try {
    if ((await parts.files.readText(path)) === undefined) return `no LED ${led} in ${SYSFS_LEDS}`;
  } catch (error) {
    return messageOf(error);
  }
  const open = () => LedLine.open({ led, activeLow, ...parts });
  return { backend: 'led', text: `led ${led} by ${path}`, path, open };
}

const BY = { onoff: byOnoff, gpioset: byGpioset, led: byLed } as const;

/**
 * What `auto` tries, in this order: an LED that is named; sysfs, which is driven at once; a process
 * that holds the line, which needs some milliseconds for a change.
 */
export function backendsOf({ backend, pin, led }: GpioSettings): Array<keyof typeof BY> {
  if (backend === 'logged') return [];
  if (backend !== 'auto') return [backend];
  if (led !== '') return ['led'];
  return pin === undefined ? [] : ['onoff', 'gpioset'];
}

/** How a backend drives the line that is configured, or why it can't. */
export function wayBy(
  backend: keyof typeof BY,
  settings: GpioSettings,
  parts: GpioParts,
): Promise<Found<Way>> {
  return BY[backend](settings, parts);
}
