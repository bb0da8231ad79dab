import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import { DiskRecord } from '../../vm/disk-record.ts';
import {
  choosePlaces,
  rebuild,
  SECTOR_BYTES,
  STATE_KINDS,
  type StateKind,
} from '../../vm/disk-states.ts';

const SECTORS = 64;
const BLANK = Buffer.alloc(SECTORS * SECTOR_BYTES);

/** `count` sectors that hold `letter`. */
function sectors(letter: string, count = 1): Buffer {
  return Buffer.alloc(count * SECTOR_BYTES, letter);
}

/** A letter a sector; a dot for one that holds nothing, `?` for one that is half and half. */
function shown(disk: Buffer): string {
  return Array.from({ length: SECTORS }, (_, i) => {
    const sector = disk.subarray(i * SECTOR_BYTES, (i + 1) * SECTOR_BYTES);
    const [first = 0] = sector;
    if (!sector.every((byte) => byte === first)) return '?';
    return first === 0 ? '.' : String.fromCharCode(first);
  })
    .join('')
    .replace(/\.+$/, '');
}

function state(record: DiskRecord, kind: StateKind, seed = 1, cut = record.length): string {
  return shown(rebuild(BLANK, record, { cut, kind, random: seededRandom(seed) }));
}

function write(record: DiskRecord, at: number, data: Buffer, isForced = false): void {
  record.write(at * SECTOR_BYTES, data, isForced);
}

/** Three letters a sector each, of which the first one is flushed. */
function oneFlushed(): DiskRecord {
  const record = new DiskRecord();
  write(record, 0, sectors('a'));
  record.flush(record.length);
  write(record, 1, sectors('b'));
  write(record, 2, sectors('c'));
  return record;
}

const SEEDS = Array.from({ length: 200 }, (_, i) => i + 1);

describe('what a flush covers', () => {
  test('stays in every state', () => {
    for (const kind of STATE_KINDS) {
      for (const seed of SEEDS) expect(state(oneFlushed(), kind, seed)[0]).toBe('a');
    }
  });

  test('is what had been answered when it came in, and no more', () => {
    const record = new DiskRecord();
    write(record, 0, sectors('a'));
    const answered = record.length;
    write(record, 1, sectors('b'));
    record.flush(answered);
    expect(state(record, 'none')).toBe('a');
    expect(record.unflushedAt(record.length)).toBe(1);
  });

  test('counts from its answer on', () => {
    const record = oneFlushed();
    expect(record.flushedAt(1)).toBe(0);
    expect(state(record, 'none', 1, 1)).toBe('');
    expect(state(record, 'none', 1, 2)).toBe('a');
  });

  test('never grows less: a flush that was begun earlier may be answered later', () => {
    const record = oneFlushed();
    record.flush(3);
    record.flush(0);
    expect(state(record, 'none')).toBe('ab');
  });

  test('a forced write needs no flush, and covers no other', () => {
    const record = new DiskRecord();
    write(record, 0, sectors('a'));
    write(record, 1, sectors('b'), true);
    expect(state(record, 'none')).toBe('.b');
    expect(record.unflushedAt(record.length)).toBe(1);
  });
});

describe('what no flush covers', () => {
  const all = (kind: StateKind, record = oneFlushed()) =>
    new Set(SEEDS.map((seed) => state(record, kind, seed)));

  test('none of it, and all of it', () => {
    expect(all('none')).toEqual(new Set(['a']));
    expect(all('all')).toEqual(new Set(['abc']));
  });

  test('the first few', () => {
    expect(all('prefix')).toEqual(new Set(['a', 'ab', 'abc']));
  });

  test('any of it', () => {
    expect(all('subset')).toEqual(new Set(['a', 'ab', 'a.c', 'abc']));
  });

  test('sectors of it, which are old or new as a whole', () => {
    const record = oneFlushed();
    write(record, 1, sectors('d', 4));
    const states = all('torn', record);
    expect([...states].some((text) => text.includes('?'))).toBe(false);
    // A part of the last write over a part of the one before it.
    expect([...states].some((text) => /^ab.*d/.test(text))).toBe(true);
    expect([...states].some((text) => /^ad.*\.d/.test(text))).toBe(true);
  });

  test('a write below the place that is never torn is there or not', () => {
    const record = oneFlushed();
    write(record, 0, sectors('d', 4));
    const states = SEEDS.map((seed) => {
      const choice = { cut: record.length, kind: 'torn', random: seededRandom(seed) } as const;
      return shown(rebuild(BLANK, record, { ...choice, wholeBelow: SECTOR_BYTES }));
    });
    expect(new Set(states.map((text) => text.slice(0, 4)))).toContain('dddd');
    for (const text of states) expect(text).toMatch(/^(dddd|a)/);
  });

  test('a later write over a flushed one may be there or not', () => {
    const record = oneFlushed();
    write(record, 0, sectors('z'));
    expect(new Set(SEEDS.map((seed) => state(record, 'subset', seed)[0]))).toEqual(
      new Set(['a', 'z']),
    );
  });

  test('what came in behind the cut is in no state', () => {
    for (const kind of STATE_KINDS) expect(state(oneFlushed(), kind, 1, 3)).not.toContain('c');
  });
});

test('the record and the disk before it stay as they are', () => {
  const record = oneFlushed();
  const data = sectors('e');
  write(record, 3, data);
  data.fill('f');
  expect(state(record, 'all')).toBe('abce');
  expect(shown(BLANK)).toBe('');
});

test('the same seed gives the same state', () => {
  const record = oneFlushed();
  for (const kind of STATE_KINDS) {
    for (const seed of SEEDS) expect(state(record, kind, seed)).toBe(state(record, kind, seed));
  }
});

test('places to cut at are anywhere, behind acknowledgements, and within flushes', () => {
  const record = oneFlushed();
  for (let i = 0; i < 100; i++) write(record, 3, sectors('g'));
  const places = choosePlaces(record, [70], 300, seededRandom(1));
  expect(places).toHaveLength(300);
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(places.filter((place) => place === 70).length).toBeGreaterThanOrEqual(100);
  expect(places.filter((place) => place === 1).length).toBeGreaterThanOrEqual(100);
  expect(new Set(places).size).toBeGreaterThan(40);
  expect(choosePlaces(record, [], 30, seededRandom(1))).toHaveLength(30);
});
