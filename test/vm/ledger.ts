/**
 * What was sent to a gateway and what it has acknowledged, each with its place in the record of
 * its disk: at a cut behind that place the reading must be there.
 */

/** Sequence numbers of a device's readings, as they stand in the log. */
export type FoundReadings = ReadonlyMap<string, readonly number[]>;

export interface Breaches {
  /** Acknowledged, and not there. */
  readonly missing: readonly string[];
  readonly twice: readonly string[];
  /** There, and never sent. */
  readonly unknown: readonly string[];
  /** Behind one of the same device that was sent later. */
  readonly disordered: readonly string[];
}

export function readingId(device: string, sequence: number): string {
  return `${device}-${sequence}`;
}

/** A device whose odd readings are far beyond the limit. */
export const HOT_DEVICE = 'boiler';

/** The same for the same reading each time, whoever asks. */
export function payloadOf(device: string, sequence: number): string {
  if (device === HOT_DEVICE) {
    return `{"id":"${readingId(device, sequence)}","value":${sequence % 2 === 1 ? 99 : 21}}`;
  }
  const value = (20 + 3 * Math.sin(sequence / 40) + (sequence % 7) / 10).toFixed(2);
  const pad = 'x'.repeat((sequence * 37) % 160);
  return `{"id":"${readingId(device, sequence)}","value":${value},"pad":"${pad}"}`;
}

interface Ack {
  readonly device: string;
  readonly sequence: number;
  /** Length of the disk's record when the ack came in. */
  readonly place: number;
}

export class Ledger {
  /** By device: how many were sent, numbered from 1. */
  readonly #sent = new Map<string, number>();
  /** Of the record that runs. */
  readonly #acks: Ack[] = [];
  /** Acknowledged before that record began, and on the disk it began with. */
  readonly #settled = new Map<string, Set<number>>();

  send(device: string): number {
    const sequence = (this.#sent.get(device) ?? 0) + 1;
    this.#sent.set(device, sequence);
    return sequence;
  }

  acknowledge(device: string, sequence: number, place: number): void {
    this.#acks.push({ device, sequence, place });
  }

  get devices(): readonly string[] {
    return [...this.#sent.keys()];
  }

  get acks(): number {
    return this.#acks.length;
  }

  get marks(): readonly number[] {
    return this.#acks.map(({ place }) => place);
  }

  sent(device: string): number {
    return this.#sent.get(device) ?? 0;
  }

  /** What a disk cut at `cut` owes, by device. */
  owedAt(cut: number): Map<string, Set<number>> {
    const owed = new Map([...this.#settled].map(([device, all]) => [device, new Set(all)]));
    for (const { device, sequence, place } of this.#acks) {
      if (place > cut) continue;
      const all = owed.get(device) ?? new Set();
      owed.set(device, all.add(sequence));
    }
    return owed;
  }

  /** For a gateway that goes on from a disk cut at `cut`, whose record begins anew. */
  goOnFrom(cut: number): Ledger {
    const next = new Ledger();
    for (const [device, all] of this.owedAt(cut)) next.#settled.set(device, all);
    for (const [device, count] of this.#sent) next.#sent.set(device, count);
    return next;
  }

  /** Of a device: what it would send once more when its gateway comes back, in order. */
  unacknowledgedAt(cut: number, device: string): number[] {
    const owed = this.owedAt(cut).get(device);
    const all = Array.from({ length: this.sent(device) }, (_, i) => i + 1);
    return all.filter((sequence) => owed?.has(sequence) !== true);
  }

  /** Compares what a log holds with what it owes at `cut`, and for what was sent `since`. */
  breachesAt(cut: number, found: FoundReadings, since: FoundReadings = new Map()): Breaches {
    const breaches = { missing: [], twice: [], unknown: [], disordered: [] };
    const owed = this.owedAt(cut);
    for (const device of this.devices) {
      const there = new Set(found.get(device));
      const all = new Set([...(owed.get(device) ?? []), ...(since.get(device) ?? [])]);
      noteAll(
        breaches.missing,
        device,
        [...all].filter((sequence) => !there.has(sequence)),
      );
    }
    for (const [device, sequences] of found) {
      const seen = new Set<number>();
      let highest = 0;
      for (const sequence of sequences) {
        if (!(sequence >= 1 && sequence <= this.sent(device))) {
          noteAll(breaches.unknown, device, [sequence]);
        } else if (seen.has(sequence)) noteAll(breaches.twice, device, [sequence]);
        else if (sequence < highest) noteAll(breaches.disordered, device, [sequence]);
        seen.add(sequence);
        highest = Math.max(highest, sequence);
      }
    }
    return breaches;
  }
}

function noteAll(ids: string[], device: string, sequences: readonly number[]): void {
  ids.push(...sequences.map((sequence) => readingId(device, sequence)));
}

export function isClean({ missing, twice, unknown, disordered }: Breaches): boolean {
  return missing.length + twice.length + unknown.length + disordered.length === 0;
}
