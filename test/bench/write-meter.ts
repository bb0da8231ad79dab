/** How many bytes the file system writes to a device: the one figure that wears a card out. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { temporaryPlace, untilRemoved } from './temporary-place.ts';

/** A folder to write to, and a count of what became of it. */
export interface WriteMeter {
  readonly method: Method;
  readonly folder: string;
  /** Bytes so far; what is still in memory only is written first. */
  bytes(): number;
  /** The same at the end, when nothing below `folder` is open: unmounted first. */
  lastBytes(): number;
  remove(): void;
}

export type Method = 'device' | 'process';

export const METHODS: Readonly<Record<Method, string>> = {
  device:
    'sectors written to an ext4 file system of its own on a loop device ' +
    '(/sys/block/loopN/stat), journal and metadata included, unmounted at the end',
  process:
    'write_bytes of /proc/self/io: pages this process has made dirty, without the journal of the ' +
    'file system; for this log, what it wrote itself, which is whole pages',
};

const SECTOR_BYTES = 512;
const IMAGE_BYTES = 768 * 1024 * 1024;
/** Everything is laid out by mkfs: done later in the background, it would be counted. */
const MKFS = ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0'];

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

/**
 * A file system of its own in a file below `base`. `mountOptions`: as `mount -o` takes them. Throws
 * if this process may not do that.
 */
export function deviceMeter(base: string, mountOptions: string): WriteMeter {
  const place = mkdtempSync(join(base, 'headgate-flash-'));
  const image = join(place, 'image');
  const folder = join(place, 'mounted');
  let device = '';
  const remove = untilRemoved(() => {
    // Each may have nothing to do, or have been done. Lazily: this process, if it is being ended,
    // has files open there, and the rest follows when it has gone.
    if (device !== '') {
      spawnSync('umount', ['--lazy', folder]);
      spawnSync('losetup', ['--detach', device]);
    }
    rmSync(place, { recursive: true, force: true });
  });
  try {
    mkdirSync(folder);
    writeFileSync(image, '');
    truncateSync(image, IMAGE_BYTES);
    run('mkfs.ext4', ...MKFS, image);
    device = run('losetup', '--find', '--show', image);
    run('mount', '-o', mountOptions, device, folder);
  } catch (error) {
    remove();
    throw error;
  }
  const sectors = () => {
    const fields = readFileSync(`/sys/block/${basename(device)}/stat`, 'utf8')
      .trim()
      .split(/\s+/);
    return Number(fields[6]) * SECTOR_BYTES;
  };
  return {
    method: 'device',
    folder,
    bytes() {
      run('sync', '--file-system', folder);
      return sectors();
    },
    lastBytes() {
      run('umount', folder);
      return sectors();
    },
    remove,
  };
}

/**
 * A kernel that holds a file in large folios counts a whole one for each page in it that changes: a
 * file that was filled ahead, 256 KiB for 4. So it is of no use for such a file.
 */
export function processMeter(base: string): WriteMeter {
  const { folder, remove } = temporaryPlace(base, 'headgate-flash-');
  const bytes = () => {
    const text = readFileSync('/proc/self/io', 'utf8');
    return Number(/^write_bytes: (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
  };
  return { method: 'process', folder, bytes, lastBytes: bytes, remove };
}
