import { join } from 'node:path';
import type { Files } from '../../src/os/files.ts';

/** The chips whose lines stand on the 40-pin header: Pi 5, Pi 4, and all before. */
const HEADER_CHIPS = ['pinctrl-rp1', 'pinctrl-bcm2711', 'pinctrl-bcm2835'];

async function readNumber(files: Files, path: string): Promise<number | undefined> {
  const text = (await files.readText(path))?.trim() ?? '';
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

/**
 * The sysfs number of a BCM pin. Kernels from 6.6 on number lines from a base that differs between
 * boards and builds, so it is read from the chip that the header belongs to. undefined: no such
 * chip, or a pin beyond its last line (`ngpio`), whose number would be a line of another chip.
 */
export async function sysfsNumber(
  files: Files,
  sysfsFolder: string,
  pin: number,
): Promise<number | undefined> {
  for (const name of await files.list(sysfsFolder)) {
    if (!name.startsWith('gpiochip')) continue;
    const chip = join(sysfsFolder, name);
    const label = (await files.readText(join(chip, 'label')))?.trim();
    if (label === undefined || !HEADER_CHIPS.includes(label)) continue;
    const base = await readNumber(files, join(chip, 'base'));
    const count = await readNumber(files, join(chip, 'ngpio'));
    if (base !== undefined && pin < (count ?? pin + 1)) return base + pin;
  }
  return undefined;
}
