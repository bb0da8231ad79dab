import { type Random, seededRandom } from '../../src/base/clock.ts';
import type { CheckAnswer, CheckRequest } from './check-protocol.ts';
import type { DiskRecord } from './disk-record.ts';
import { choosePlaces, rebuild, STATE_KINDS, type StateKind } from './disk-states.ts';
import { type FoundReadings, isClean, type Ledger } from './ledger.ts';
import { numbersOf, runsOf } from './number-runs.ts';

/** A stretch between two power cuts: what the disk held, was told, and owes. */
export interface Stretch {
  readonly number: number;
  readonly base: Buffer;
  readonly record: DiskRecord;
  readonly ledger: Ledger;
  /** Place in the record at which the load began. */
  readonly loadedFrom: number;
}

/** A state to look at: made from the seed alone, so that one that fails can be made again. */
export interface StateName {
  readonly stretch: number;
  readonly kind: StateKind;
  readonly cut: number;
  readonly seed: number;
}

const SEEDS = 2 ** 31;
/** Of each device: what is sent once more of the acknowledged, and of what was not. */
const RESENT_ACKED = 5;
const RESENT_NEW = 20;

export function chooseStates(stretch: Stretch, count: number, random: Random): StateName[] {
  return STATE_KINDS.flatMap((kind, i) => {
    // None may be left out because the count does not divide.
    const share = Math.floor((count + i) / STATE_KINDS.length);
    const cuts = choosePlaces(stretch.record, stretch.ledger.marks, share, random);
    return cuts.map((cut) => {
      return { stretch: stretch.number, kind, cut, seed: Math.floor(random() * SEEDS) };
    });
  });
}

/**
 * The block with the superblock of ext4, whose checksum is over two sectors: torn, it is no file
 * system any more, whatever a program did. F2fs has two of all that it begins with.
 */
const SUPERBLOCK_BYTES = 4096;

export function diskOf({ base, record }: Stretch, { kind, cut, seed }: StateName): Buffer {
  const random = seededRandom(seed);
  return rebuild(base, record, { cut, kind, random, wholeBelow: SUPERBLOCK_BYTES });
}

/** What the devices of a gateway that was cut at `cut` send when it comes back. */
export function resentAt(ledger: Ledger, cut: number): Map<string, number[]> {
  const owed = ledger.owedAt(cut);
  return new Map(
    ledger.devices.map((device) => {
      const acked = [...(owed.get(device) ?? [])].sort((a, b) => a - b).slice(-RESENT_ACKED);
      const open = ledger.unacknowledgedAt(cut, device).slice(0, RESENT_NEW);
      return [device, [...acked, ...open]];
    }),
  );
}

export function requestOf(
  { ledger }: Stretch,
  { cut }: StateName,
  disk: Pick<CheckRequest, 'device' | 'fs'>,
): CheckRequest {
  const resent = [...resentAt(ledger, cut)].map(([device, all]) => [device, runsOf(all)]);
  return { ...disk, resend: Object.fromEntries(resent) };
}

function numbersByDevice(runs: Readonly<Record<string, string>>): FoundReadings {
  return new Map(Object.entries(runs).map(([device, text]) => [device, numbersOf(text)]));
}

/** What is wrong with a state, a sentence each; none is what the lab is for. */
export function faultsOf({ ledger }: Stretch, { cut }: StateName, answer: CheckAnswer): string[] {
  if (answer.failed !== undefined) return [`does not come back: ${answer.failed}`];
  const faults: string[] = [];
  const { corruptBlocks, lostOffsets, changed } = answer;
  if (corruptBlocks > 0) faults.push(`${corruptBlocks} corrupt blocks`);
  if (lostOffsets > 0) faults.push(`${lostOffsets} lost offsets`);
  if (changed.length > 0) faults.push(`${changed.length} changed readings: ${changed[0]}`);
  const before = ledger.breachesAt(cut, numbersByDevice(answer.found));
  const since = resentAt(ledger, cut);
  const after = ledger.breachesAt(cut, numbersByDevice(answer.foundAfter), since);
  for (const [when, breaches] of [
    ['on the disk', before],
    ['after all was sent once more', after],
  ] as const) {
    if (isClean(breaches)) continue;
    for (const [what, ids] of Object.entries(breaches)) {
      if (ids.length > 0) faults.push(`${when}: ${ids.length} ${what}, ${ids.slice(0, 5)}`);
    }
  }
  return faults;
}

export function nameText({ stretch, kind, cut, seed }: StateName): string {
  return `stretch ${stretch}, ${kind}, cut at ${cut}, seed ${seed}`;
}
