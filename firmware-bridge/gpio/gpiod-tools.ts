import type { Programs } from '../../src/os/programs.ts';
import type { Chip } from './chips.ts';

/** The tools of libgpiod 1 and 2 have the same names and other words. */
export type Dialect = 1 | 2;

export interface HeldLine {
  /** Name or number of the chip's device: `gpiochip0`. */
  readonly chip: string;
  readonly offset: number;
  readonly activeLow: boolean;
}

/** Which libgpiod the tool is of; undefined: it is not there, or says nothing of it. */
export async function dialectOf(programs: Programs, tool: string): Promise<Dialect | undefined> {
  const { code, output } = await programs.ask(tool, ['--version']);
  const major = /\bv?(\d+)\.\d+/.exec(output)?.[1];
  if (code !== 0 || major === undefined) return undefined;
  return major === '1' ? 1 : 2;
}

/** The chips that `gpiodetect` sees, or why there are none. */
export async function detectedChips(programs: Programs): Promise<Chip[] | string> {
  const { code, output, error } = await programs.ask('gpiodetect', []);
  const chips = [...output.matchAll(/^(gpiochip\d+) \[(.*)\] \((\d+) lines?\)$/gm)].map(
    ([, name, label = '', lines]) => ({ label, name, lines: Number(lines), base: undefined }),
  );
  if (chips.length > 0) return chips;
  if (code === 0) return 'gpiodetect finds no GPIO chip';
  return `gpiodetect: ${error.replace(/^\S*gpiodetect: /, '') || 'no answer'}`;
}

function sense({ activeLow }: HeldLine): string[] {
  return activeLow ? ['--active-low'] : [];
}

function place(dialect: Dialect, chip: string, line: string): string[] {
  return dialect === 1 ? [chip, line] : ['--chip', chip, line];
}

/** Drives the line until it is ended. */
export function holdArgs(dialect: Dialect, line: HeldLine, active: boolean): string[] {
  const level = `${line.offset}=${active ? 1 : 0}`;
  const mode = dialect === 1 ? ['--mode=signal'] : [];
  return [...mode, ...sense(line), ...place(dialect, line.chip, level)];
}

/** Drives the line once and ends. */
export function onceArgs(dialect: Dialect, line: HeldLine, active: boolean): string[] {
  const level = `${line.offset}=${active ? 1 : 0}`;
  const mode = dialect === 1 ? ['--mode=exit'] : ['--toggle', '0'];
  return [...mode, ...sense(line), ...place(dialect, line.chip, level)];
}

/** Prints a line for each edge: `1` for one to active, anything else for one to inactive. */
export function monitorArgs(dialect: Dialect, line: HeldLine): string[] {
  // A button that is open must not float.
  const pull = `--bias=${line.activeLow ? 'pull-up' : 'pull-down'}`;
  const buffering = dialect === 1 ? ['--line-buffered'] : [];
  const { chip, offset } = line;
  return [
    ...buffering,
    '--format=%e',
    pull,
    ...sense(line),
    ...place(dialect, chip, String(offset)),
  ];
}
