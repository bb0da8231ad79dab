import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import {
  type Dialect,
  detectedChips,
  dialectOf,
  type HeldLine,
  holdArgs,
  monitorArgs,
  onceArgs,
} from '../../firmware-bridge/gpio/gpiod-tools.ts';
import { systemPrograms } from '../../src/os/programs.ts';
import { until } from '../support/until.ts';

// The tools of libgpiod as Debian has them. There is no chip here, so they get as far as that: one
// whose words were not understood would not.

const programs = systemPrograms(process.env);
const LINE: HeldLine = { chip: 'gpiochip250', offset: 17, activeLow: true };
/** libgpiod 1: ENOENT of the chip's device; libgpiod 2 says it in words. */
const NO_CHIP = /No such file or directory|cannot find GPIO chip/;

async function dialect(tool: string): Promise<Dialect> {
  const found = await dialectOf(programs, tool);
  if (found === undefined) throw new Error(`${tool} is not installed`);
  return found;
}

it.each([
  ['held active', holdArgs, true],
  ['held inactive', holdArgs, false],
  ['driven once', onceArgs, false],
] as const)('gpioset understands how a line is %s', async (_, argsFor, active) => {
  const { code, error } = await programs.ask(
    'gpioset',
    argsFor(await dialect('gpioset'), LINE, active),
  );
  expect([code, error]).toEqual([1, expect.stringMatching(NO_CHIP)]);
});

it.each([true, false])(
  'gpiomon understands what to listen for, active low: %s',
  async (activeLow) => {
    const args = monitorArgs(await dialect('gpiomon'), { ...LINE, activeLow });
    const { code, error } = await programs.ask('gpiomon', args);
    expect([code, error]).toEqual([1, expect.stringMatching(NO_CHIP)]);
  },
);

it('gpioset does not understand the words of the other libgpiod', async () => {
  const other = (await dialect('gpioset')) === 1 ? 2 : 1;
  const { code, error } = await programs.ask('gpioset', holdArgs(other, LINE, true));
  expect([code, error]).toEqual([1, expect.not.stringMatching(NO_CHIP)]);
});

it('gpiodetect answers, chips or not', async () => {
  const chips = await detectedChips(programs);
  expect(typeof chips === 'string' ? chips : 'chips').toMatch(/^(chips|gpiodetect )/);
});

const left: number[] = [];
afterEach(() => {
  for (const pid of left.splice(0)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // As it should be.
    }
  }
});

/** True until it has ended, even if nobody has asked how. */
async function runs(pid: number): Promise<boolean> {
  const { code, output } = await programs.ask('ps', ['-o', 'stat=', '-p', `${pid}`]);
  return code === 0 && !output.startsWith('Z');
}

it('what a daemon has started ends with it, however that ends', async () => {
  const module = join(import.meta.dirname, '../../dist/src/os/programs.js');
  const script = `
    import { systemPrograms } from '${module}';
    systemPrograms(process.env).start('sh', ['-c', 'echo $$; exec sleep 600'], (line) => {
      process.stdout.write(line + '\\n');
    });
    setInterval(() => {}, 1000);
  `;
  const daemon = spawn(process.execPath, ['--input-type=module', '-e', script]);
  const [text] = (await once(daemon.stdout, 'data')) as [Buffer];
  const pid = Number(text.toString());
  left.push(pid);
  expect(await runs(pid)).toBe(true);
  // Ctrl-C ends the daemon, and the line is held until that is done.
  const { output } = await programs.ask('ps', ['-o', 'pgid=', '-p', `${pid}`]);
  expect(Number(output)).toBe(pid);
  daemon.kill('SIGKILL');
  await until('the program has ended', async () => !(await runs(pid)));
});
