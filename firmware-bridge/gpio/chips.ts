import { join } from 'node:path';
import type { Files } from '../../src/os/files.ts';

/** A GPIO chip, as far as it is known. */
export interface Chip {
  /** What the driver calls it: `pinctrl-rp1`. */
  readonly label: string;
  /** That of its device: `gpiochip0` for /dev/gpiochip0. undefined: sysfs does not tell. */
  readonly name: string | undefined;
  /** How many lines it has; undefined: that is not known. */
  readonly lines: number | undefined;
  /** The sysfs number of its first line; undefined: sysfs has none of it. */
  readonly base: number | undefined;
}

export const SYSFS_GPIO = '/sys/class/gpio';

/** The chips whose lines stand on the 40-pin header: Pi 5, Pi 4, and all before. */
export const HEADER_CHIPS: readonly string[] = [
  'pinctrl-rp1',
  'pinctrl-bcm2711',
  'pinctrl-bcm2835',
];

async function readNumber(files: Files, path: string): Promise<number | undefined> {
  const text = (await files.readText(path))?.trim() ?? '';
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

/**
 * The name of the chip's device. sysfs calls chips by their bases, and so do not say it: the device
 * is below the parent that both have, alone there in all but a few cases, or is itself the parent.
 */
async function deviceName(files: Files, chip: string): Promise<string | undefined> {
  const parent = join(chip, 'device');
  const names = (await files.list(parent)).filter((name) => /^gpiochip\d+$/.test(name));
  if (names.length > 0) return names.length === 1 ? names[0] : undefined;
  const uevent = (await files.readText(join(parent, 'uevent'))) ?? '';
  return /^DEVNAME=(gpiochip\d+)$/m.exec(uevent)?.[1];
}

/** The chips that sysfs has, in the order of their folders' names. Rejects with system errors. */
export async function sysfsChips(files: Files, folder = SYSFS_GPIO): Promise<Chip[]> {
  const chips: Chip[] = [];
  for (const entry of await files.list(folder)) {
    if (!/^gpiochip\d+$/.test(entry)) continue;
    const chip = join(folder, entry);
    const label = (await files.readText(join(chip, 'label')))?.trim();
    if (label === undefined) continue;
    const base = await readNumber(files, join(chip, 'base'));
    const lines = await readNumber(files, join(chip, 'ngpio'));
    chips.push({ label, name: await deviceName(files, chip), lines, base });
  }
  return chips;
}

/** The chip that is meant: by its label or name, or (`wanted` is empty) that of the header. */
export function chipOf(chips: readonly Chip[], wanted: string): Chip | undefined {
  if (wanted === '') return chips.find(({ label }) => HEADER_CHIPS.includes(label));
  return chips.find(({ label, name }) => label === wanted || name === wanted);
}

/** Whether the chip has such a line: one beyond its last would be a line of another chip. */
export function hasLine({ lines }: Chip, line: number): boolean {
  return line < (lines ?? line + 1);
}

export function wantedChip(wanted: string): string {
  return wanted === '' ? "chip of a Raspberry Pi's header" : `chip ${wanted}`;
}
