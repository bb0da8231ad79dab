import type { Files } from '../../src/os/files.ts';
import type { Programs } from '../../src/os/programs.ts';
import { type Chip, chipOf, HEADER_CHIPS, sysfsChips } from './chips.ts';
import type { GpioSettings } from './gpio-settings.ts';
import { detectedChips } from './gpiod-tools.ts';
import { SYSFS_LEDS } from './led-line.ts';

/** Where the BCM lines 0 to 27 are on the 40-pin header. */
const HEADER_PINS: readonly number[] = [
  ...[27, 28, 3, 5, 7, 29, 31, 26, 24, 21, 19, 23, 32, 33],
  ...[8, 10, 36, 11, 12, 35, 38, 40, 15, 16, 18, 22, 37, 13],
];

/** One line, under each of its names. null: it has no such name, or that is not known. */
export interface LineRow {
  /** What `gpio.pin` is set to. */
  readonly pin: number;
  /** Its pin on the header of a Raspberry Pi. */
  readonly header: number | null;
  readonly chip: string | null;
  readonly label: string;
  readonly sysfs: number | null;
  /** What its driver calls it: `GPIO17`. */
  readonly name: string | null;
  /** Who has it just now. */
  readonly user: string | null;
  readonly use: 'alert line' | 'button' | null;
}

export interface LineTable {
  readonly chips: readonly Chip[];
  readonly lines: readonly LineRow[];
  readonly leds: readonly string[];
  /** Why there is no more than that. */
  readonly notes: readonly string[];
}

interface LineInfo {
  readonly name: string | null;
  readonly user: string | null;
}

const unquoted = (text: string) => text.replace(/^"(.*)"$/, '$1');

/** What `gpioinfo` of either libgpiod says of each line, by chip and offset: `gpiochip0 17`. */
export function parseInfo(output: string): Map<string, LineInfo> {
  const infos = new Map<string, LineInfo>();
  let chip = '';
  for (const line of output.split('\n')) {
    chip = /^(gpiochip\d+) - \d+ lines?:/.exec(line)?.[1] ?? chip;
    const found = /^\s+line\s+(\d+):\s+("[^"]*"|\S+)\s+(.*)$/.exec(line);
    if (found === null) continue;
    const [, offset, called = '', rest = ''] = found;
    const name = called === 'unnamed' ? null : unquoted(called);
    const one = /^("[^"]*"|\S+)\s+(?:input|output)\b/.exec(rest)?.[1];
    const two = /\bconsumer=("[^"]*"|[^\s,]+)/.exec(rest)?.[1];
    const user = two ?? (one === 'unused' ? undefined : one);
    infos.set(`${chip} ${offset}`, { name, user: user === undefined ? null : unquoted(user) });
  }
  return infos;
}

/** The chips of both sources, each once. */
function merged(ofSysfs: readonly Chip[], detected: readonly Chip[]): Chip[] {
  const isSame = (one: Chip, other: Chip) =>
    one.name === undefined
      ? one.label === other.label && one.lines === other.lines
      : one.name === other.name;
  const known = ofSysfs.map((chip) => {
    const same = detected.filter((other) => isSame(chip, other));
    return same.length === 1 ? { ...chip, name: same[0]?.name } : chip;
  });
  return [...known, ...detected.filter((chip) => !known.some(({ name }) => name === chip.name))];
}

function rowsOf(chip: Chip, infos: Map<string, LineInfo>, settings: GpioSettings): LineRow[] {
  const { label, name = null, lines = 0, base } = chip;
  const isHeader = HEADER_CHIPS.includes(label);
  const isMeant = settings.chip === '' ? isHeader : [label, name].includes(settings.chip);
  const count = isHeader ? Math.min(lines, HEADER_PINS.length) : lines;
  return Array.from({ length: count }, (_, pin) => {
    const info = infos.get(`${name} ${pin}`);
    const isLine = isMeant && pin === settings.pin;
    const isButton = isMeant && pin === settings.ackPin;
    return {
      pin,
      header: isHeader ? (HEADER_PINS[pin] ?? null) : null,
      chip: name,
      label,
      sysfs: base === undefined ? null : base + pin,
      name: info?.name ?? null,
      user: info?.user ?? null,
      use: isLine ? 'alert line' : isButton ? 'button' : null,
    };
  });
}

/**
 * The lines of the chip that is configured, else of the header, else of every chip there is. Reads
 * sysfs and asks the tools of libgpiod; either may be missing.
 */
export async function lineTable(
  settings: GpioSettings,
  { files, programs }: { readonly files: Files; readonly programs: Programs },
): Promise<LineTable> {
  const notes: string[] = [];
  const ofSysfs = await sysfsChips(files);
  if (ofSysfs.length === 0) notes.push('/sys/class/gpio has no chip');
  const detected = await detectedChips(programs);
  if (typeof detected === 'string') notes.push(detected);
  const chips = merged(ofSysfs, typeof detected === 'string' ? [] : detected);
  const infos = parseInfo((await programs.ask('gpioinfo', [])).output);
  const meant = chipOf(chips, settings.chip);
  if (meant === undefined && settings.chip !== '') notes.push(`there is no chip ${settings.chip}`);
  const shown = meant === undefined ? chips : [meant];
  const lines = shown.flatMap((chip) => rowsOf(chip, infos, settings));
  return { chips, lines, leds: await files.list(SYSFS_LEDS), notes };
}
