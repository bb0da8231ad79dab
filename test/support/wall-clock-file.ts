import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Debian's libfaketime, wherever this machine's architecture has it. */
function library(): string {
  for (const triplet of readdirSync('/usr/lib')) {
    const folder = join('/usr/lib', triplet, 'faketime');
    try {
      const found = readdirSync(folder).find((name) => name === 'libfaketime.so.1');
      if (found !== undefined) return join(folder, found);
    } catch {
      // No folder of an architecture.
    }
  }
  throw new Error('no libfaketime.so.1: is the package faketime installed?');
}

/** The wall clock of programs that are started with `env`. It jumps while they run, as by NTP. */
export class WallClockFile {
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;

  constructor(folder: string) {
    this.#file = join(folder, 'wall-clock');
    this.set(0);
    this.env = {
      LD_PRELOAD: library(),
      // The kernel's own clock does not jump when somebody sets the time.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
      FAKETIME_NO_CACHE: '1',
      FAKETIME_TIMESTAMP_FILE: this.#file,
    };
  }

  /** By how many seconds it is ahead of the time that it is. */
  set(seconds: number): void {
    // At once: a file that is being written is no time at all.
    writeFileSync(`${this.#file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    renameSync(`${this.#file}.new`, this.#file);
  }
}
