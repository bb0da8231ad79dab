import { type LineRow, lineTable } from '../../firmware-bridge/gpio/line-table.ts';
import { nodeFiles as files } from '../os/node-files.ts';
import { systemPrograms } from '../os/programs.ts';
import { CONFIG_OPTION, type Command, JSON_OPTION } from './command.ts';
import { readSettings } from './settings.ts';

/** A table whose columns are as wide as they must be. */
function columns(rows: ReadonlyArray<readonly string[]>): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

const shown = (value: string | number | undefined | null) => String(value ?? '-');

function lineRow({ pin, header, chip, label, sysfs, name, user, use }: LineRow): string[] {
  const place = `${chip ?? label} ${pin}`;
  const used = [use, user === null ? null : `used by ${user}`].filter((one) => one !== null);
  return [String(pin), shown(header), place, shown(sysfs), shown(name), used.join(', ')];
}

export const gpioList: Command = {
  name: 'gpio list',
  usage: 'headgate gpio list [--config FILE] [--json]',
  summary: 'the lines of this machine: number, header pin, chip and line, sysfs number',
  options: { ...CONFIG_OPTION, ...JSON_OPTION },
  positionals: [0, 0],
  async run(values, _, io) {
    const { config } = await readSettings(values, io.env);
    const programs = systemPrograms(io.env);
    const table = await lineTable(config.gpio, { files, programs });
    if (values['json'] === true) {
      const chips = table.chips.map(({ name = null, label, lines = null, base = null }) => {
        return { name, label, lines, base };
      });
      io.print(JSON.stringify({ ...table, chips }));
      return 0;
    }
    const { chips, lines, leds, notes } = table;
    if (chips.length === 0) io.print('This machine has no GPIO chip that can be seen from here.');
    else {
      const rows = chips.map(({ name, label, lines: count, base }) => {
        return [shown(name), shown(count), shown(base), label];
      });
      for (const row of columns([['chip', 'lines', 'sysfs from', 'label'], ...rows])) io.print(row);
      io.print('');
      const head = ['pin', 'header', 'chip line', 'sysfs', 'name', ''];
      for (const row of columns([head, ...lines.map(lineRow)])) io.print(row);
    }
    if (leds.length > 0) io.print(`LEDs for gpio.led: ${leds.join(', ')}`);
    for (const note of notes) io.print(`note: ${note}`);
    return 0;
  },
};
