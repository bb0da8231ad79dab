import { join } from 'node:path';
import type { Files } from '../../src/os/files.ts';

/** The chips whose lines stand on the 40-pin header: Pi 5, Pi 4, and all before. */
const HEADER_CHIPS = ['pinctrl-rp1', 'pinctrl-bcm2711', 'pinctrl-bcm2835'];

/**
 * The sysfs number of a BCM pin. Kernels from 6.6 on number lines from a base that differs between
 * boards and builds, so it is read from the chip that the header belongs to. undefined: no such
 * chip.
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
    const base = Number((await files.readText(join(chip, 'base')))?.trim());
    if (Number.isInteger(base)) return base + pin;
  }
  return undefined;
}
