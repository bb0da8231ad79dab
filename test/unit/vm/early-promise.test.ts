import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import type { CheckAnswer } from '../../vm/check-protocol.ts';
import { DiskRecord } from '../../vm/disk-record.ts';
import { SECTOR_BYTES, STATE_KINDS } from '../../vm/disk-states.ts';
import { chooseStates, diskOf, faultsOf, resentAt, type Stretch } from '../../vm/lab-states.ts';
import { Ledger } from '../../vm/ledger.ts';
import { runsOf } from '../../vm/number-runs.ts';

// A lab that finds nothing must be able to. Here it looks at gateways of a few lines, whose disk
// has a reading a sector: one that keeps its promise, and some that do not.

const READINGS = 200;
const EVERY = 4;

interface Faults {
  /** Acknowledges before it flushes. */
  readonly isEarly?: boolean;
  /** Flushes what it has written so far without the last write. */
  readonly missesLast?: boolean;
}

function runOf({ isEarly = false, missesLast = false }: Faults): Stretch {
  const record = new DiskRecord();
  const ledger = new Ledger();
  const open: number[] = [];
  const acknowledge = () => {
    for (const sequence of open.splice(0)) ledger.acknowledge('a', sequence, record.length);
  };
  for (let i = 0; i < READINGS; i++) {
    const sequence = ledger.send('a');
    open.push(sequence);
    record.write(sequence * SECTOR_BYTES, Buffer.alloc(SECTOR_BYTES, sequence));
    if (open.length < EVERY) continue;
    if (isEarly) acknowledge();
    record.flush(missesLast ? record.length - 1 : record.length);
    acknowledge();
  }
  const base = Buffer.alloc((READINGS + 1) * SECTOR_BYTES);
  return { number: 0, base, record, ledger, loadedFrom: 0 };
}

function readingsOn(disk: Buffer): number[] {
  const all = Array.from({ length: READINGS }, (_, i) => i + 1);
  return all.filter((sequence) => disk[sequence * SECTOR_BYTES] === sequence);
}

/** How many states of each kind the lab calls faulty. */
function faultyStates(stretch: Stretch, change = (found: number[]) => found) {
  const counts = new Map(STATE_KINDS.map((kind) => [kind, 0]));
  for (const state of chooseStates(stretch, 300, seededRandom(7))) {
    const found = change(readingsOn(diskOf(stretch, state)));
    const since = resentAt(stretch.ledger, state.cut).get('a') ?? [];
    const after = [...found, ...since.filter((sequence) => !found.includes(sequence))];
    const answer: CheckAnswer = {
      found: { a: runsOf(found) },
      foundAfter: { a: runsOf(change(after.sort((a, b) => a - b))) },
      ...{ changed: [], corruptBlocks: 0, lostOffsets: 0, startMs: 0 },
    };
    if (faultsOf(stretch, state, answer).length > 0) {
      counts.set(state.kind, (counts.get(state.kind) ?? 0) + 1);
    }
  }
  return Object.fromEntries(counts);
}

describe('the lab tells a gateway', () => {
  test('that keeps its promise', () => {
    expect(faultyStates(runOf({}))).toEqual({ none: 0, all: 0, prefix: 0, subset: 0, torn: 0 });
  });

  test('that acknowledges before it flushes', () => {
    const faulty = faultyStates(runOf({ isEarly: true }));
    expect(faulty).toMatchObject({ all: 0 });
    for (const kind of ['none', 'prefix', 'subset', 'torn'])
      expect(faulty[kind]).toBeGreaterThan(5);
  });

  test('whose flush leaves out the last write', () => {
    const faulty = faultyStates(runOf({ missesLast: true }));
    expect(faulty).toMatchObject({ all: 0 });
    expect(faulty['none']).toBeGreaterThan(5);
  });

  test('that stores a reading twice, whose order is another, or that makes one up', () => {
    const stretch = runOf({});
    const clean = { none: 0, all: 0, prefix: 0, subset: 0, torn: 0 };
    const twice = (found: number[]) => [...found.slice(0, 1), ...found];
    const swapped = ([a, b, ...rest]: number[]) =>
      [b, a, ...rest].filter((one) => one !== undefined);
    const more = (found: number[]) => [...found, READINGS + 50];
    for (const change of [twice, swapped, more]) {
      expect(faultyStates(stretch, change)).not.toEqual(clean);
    }
  });
});

test('corruption, lost offsets and a gateway that stays away are faults', () => {
  const stretch = runOf({});
  const state = { stretch: 0, kind: 'all', cut: 0, seed: 1 } as const;
  const all = [...resentAt(stretch.ledger, 0)].map(([device, some]) => [device, runsOf(some)]);
  const clean: CheckAnswer = {
    ...{ found: {}, foundAfter: Object.fromEntries(all), changed: [] },
    ...{ corruptBlocks: 0, lostOffsets: 0, startMs: 1 },
  };
  expect(faultsOf(stretch, state, clean)).toEqual([]);
  for (const wrong of [
    { corruptBlocks: 1 },
    { lostOffsets: 1 },
    { changed: ['x'] },
    { failed: 'no start' },
    { foundAfter: {} },
  ]) {
    expect(faultsOf(stretch, state, { ...clean, ...wrong })).toHaveLength(1);
  }
});
