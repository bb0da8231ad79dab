import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Programs, systemPrograms } from '../../../src/os/programs.ts';

/**
 * gpioset, gpiomon and gpiodetect as scripts that take the words of one libgpiod and refuse those
 * of the other, as the real ones do, and that give a line to one process at a time.
 */
const GPIOSET = `#!/bin/sh
here=$(dirname "$0")
version=$(cat "$here/version")
[ "$1" = --version ] && { echo "gpioset (libgpiod) v$version"; exit 0; }
say() { echo "gpioset: $*" >&2; exit 1; }
hold=1 chip= low=0
while [ $# -gt 0 ]; do
  case "$version $1" in
    1.*--mode=signal) ;;
    1.*--mode=exit) hold=0 ;;
    2.*--toggle) hold=0; [ "$2" = 0 ] || say "bad period"; shift ;;
    2.*--chip) chip=$2; shift ;;
    *--active-low) low=1 ;;
    *" "--*) say "unrecognized option '$1'" ;;
    *) if [ -z "$chip" ]; then chip=$1; else level=$1; fi ;;
  esac
  shift
done
[ "$chip" = gpiochip0 ] || say "cannot find $chip"
[ -e "$here/refuse" ] && say "$(cat "$here/refuse")"
if [ -e "$here/holder" ]; then
  # One that has ended holds nothing, even if nobody has asked yet how it ended.
  case "$(cat "/proc/$(cat "$here/holder")/stat" 2>/dev/null)" in
    ''|*") Z "*) ;;
    *) echo >>"$here/busy"; say "Device or resource busy" ;;
  esac
fi
echo $$ >"$here/holder"
echo "$low $level" >>"$here/levels"
[ $hold = 0 ] && exit 0
exec sleep 600
`;

const GPIOMON = `#!/bin/sh
here=$(dirname "$0")
[ "$1" = --version ] && { echo "gpiomon (libgpiod) v$(cat "$here/version")"; exit 0; }
echo "$*" >>"$here/monitors"
exec cat "$here/edges"
`;

const GPIODETECT = `#!/bin/sh
cat "$(dirname "$0")/chips"
`;

export class FakeTools {
  readonly folder = mkdtempSync(join(tmpdir(), 'headgate-gpiod-'));
  readonly programs: Programs;

  constructor(version: string, tools = { gpioset: GPIOSET, gpiodetect: GPIODETECT }) {
    this.write('version', version);
    this.write('chips', 'gpiochip0 [pinctrl-bcm2711] (58 lines)\n');
    for (const [name, script] of Object.entries({ gpiomon: GPIOMON, ...tools })) {
      this.write(name, script);
      chmodSync(join(this.folder, name), 0o755);
    }
    this.programs = systemPrograms({ PATH: `${this.folder}:${process.env['PATH']}` });
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  read(name: string): string {
    try {
      return readFileSync(join(this.folder, name), 'utf8');
    } catch {
      return '';
    }
  }

  /** Process that has the line. */
  get holder(): number {
    return Number(this.read('holder'));
  }

  /** Levels that were driven, as the tool was told them: `0 17=1` (active low, line, level). */
  get levels(): string[] {
    return this.read('levels').split('\n').filter(Boolean);
  }

  /** Changes of the level from inactive on. */
  changes(): boolean[] {
    const levels = this.levels.map((level) => level.endsWith('=1'));
    return levels.filter((level, index) => level !== (levels[index - 1] ?? false));
  }

  /** A file that a script reads from as it is written. */
  pipe(name: string): void {
    execFileSync('mkfifo', [join(this.folder, name)]);
  }

  /** Opens a pipe for writing: resolves once a script reads it. */
  async openPipe(name: string) {
    const file = await openFile(join(this.folder, name), 'w');
    return { write: (text: string) => file.appendFile(text), close: () => file.close() };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
