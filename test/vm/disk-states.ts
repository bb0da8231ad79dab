import type { Random } from '../../src/base/clock.ts';
import type { DiskRecord, DiskWrite } from './disk-record.ts';

/**
 * What a disk may hold after the power is cut, of the writes that no flush has covered:
 * none of them, all, the first few, some at random, or some of which parts are missing.
 */
export const STATE_KINDS = ['none', 'all', 'prefix', 'subset', 'torn'] as const;
export type StateKind = (typeof STATE_KINDS)[number];

/** What a disk writes whole, or not at all. */
export const SECTOR_BYTES = 512;

export interface StateChoice {
  /** A place in the record. */
  readonly cut: number;
  readonly kind: StateKind;
  readonly random: Random;
  /** Writes below this place on the disk are never torn. */
  readonly wholeBelow?: number;
}

/** Puts what stays of a write on the disk. */
type Keep = (disk: Buffer, write: DiskWrite) => void;

const whole: Keep = (disk, { offset, data }) => {
  data.copy(disk, offset);
};

function somewhere(random: Random, below: number): number {
  return Math.floor(random() * below);
}

/** Each sector by itself, old or new. */
function torn({ random, wholeBelow = 0 }: StateChoice): Keep {
  return (disk, write) => {
    const { offset, data } = write;
    if (offset < wholeBelow) {
      if (random() < 0.5) whole(disk, write);
      return;
    }
    for (let at = 0; at < data.length; at += SECTOR_BYTES) {
      if (random() < 0.5) data.copy(disk, offset + at, at, at + SECTOR_BYTES);
    }
  };
}

/** What becomes of the `index`th of `open` writes that no flush has covered. */
function keeperOf(choice: StateChoice, open: number): (index: number) => Keep | undefined {
  const { kind, random } = choice;
  switch (kind) {
    case 'none':
      return () => undefined;
    case 'all':
      return () => whole;
    case 'prefix': {
      const kept = somewhere(random, open + 1);
      return (index) => (index < kept ? whole : undefined);
    }
    case 'subset': {
      const share = random();
      return () => (random() < share ? whole : undefined);
    }
    case 'torn': {
      const tear = torn(choice);
      return () => {
        const lot = random();
        if (lot < 0.25) return undefined;
        return lot < 0.5 ? whole : tear;
      };
    }
  }
}

/** The disk as it may be after a cut. `base` is what it held before the record began. */
export function rebuild(base: Buffer, record: DiskRecord, choice: StateChoice): Buffer {
  const { cut } = choice;
  const disk = Buffer.from(base);
  const flushed = record.flushedAt(cut);
  const keep = keeperOf(choice, record.unflushedAt(cut));
  let open = 0;
  for (const [place, entry] of record.entries.slice(0, cut).entries()) {
    if (entry.kind === 'flush') continue;
    if (place < flushed || entry.isForced) whole(disk, entry);
    else {
      keep(open)?.(disk, entry);
      open += 1;
    }
  }
  return disk;
}

/**
 * Places to cut at, `count` of them in order: anywhere, after an acknowledgement (a `mark`), and
 * where a flush is under way, when most is open.
 */
export function choosePlaces(
  record: DiskRecord,
  marks: readonly number[],
  count: number,
  random: Random,
): number[] {
  const flushes = record.entries.flatMap(({ kind }, place) => (kind === 'flush' ? [place] : []));
  const places = Array.from({ length: count }, (_, i) => {
    const source = [undefined, marks, flushes][i % 3];
    const anywhere = somewhere(random, record.length + 1);
    return source === undefined ? anywhere : (source[somewhere(random, source.length)] ?? anywhere);
  });
  return places.sort((a, b) => a - b);
}
