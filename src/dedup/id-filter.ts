import type { Fingerprint } from './fingerprint.ts';

type Lanes = Pick<Fingerprint, 'a' | 'b' | 'c' | 'd'>;

const BITS_PER_ID = 20;
/** A filter's bits for one fingerprint stand in one block: one cache line. */
const BLOCK_WORDS = 16;
const PROBES = 8;
/** Bits of a lane that choose one of a block's. */
const PROBE_BITS = 9;

/**
 * Which fingerprints may be in a run, so that those which are not, nearly all, are not looked for:
 * a Bloom filter in blocks (Putze, Sanders and Singler, 2007), 2.5 bytes an id; it is wrong once in
 * some 3,000 times. A fingerprint's bits are random as they are.
 */
export class IdFilter {
  readonly words: Uint32Array;

  private constructor(words: Uint32Array) {
    this.words = words;
  }

  /** For so many ids. */
  static empty(ids: number): IdFilter {
    const blocks = Math.max(1, Math.ceil((ids * BITS_PER_ID) / (32 * BLOCK_WORDS)));
    return new IdFilter(new Uint32Array(blocks * BLOCK_WORDS));
  }

  /** As `words` gave it. */
  static of(words: Uint32Array): IdFilter {
    return new IdFilter(words);
  }

  add(lanes: Lanes): void {
    const block = this.#blockOf(lanes.b);
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = bitOf(lanes, probe);
      const at = block + (bit >>> 5);
      this.words[at] = (this.words[at] ?? 0) | (1 << (bit & 31));
    }
  }

  mayHave(lanes: Lanes): boolean {
    const block = this.#blockOf(lanes.b);
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = bitOf(lanes, probe);
      if (((this.words[block + (bit >>> 5)] ?? 0) & (1 << (bit & 31))) === 0) return false;
    }
    return true;
  }

  #blockOf(lane: number): number {
    return ((lane >>> 0) % (this.words.length / BLOCK_WORDS)) * BLOCK_WORDS;
  }
}

/** Three of each lane, and two of the last, whose highest bits choose the page. */
function bitOf({ a, c, d }: Lanes, probe: number): number {
  const lane = probe < 3 ? c : probe < 6 ? d : a;
  return (lane >>> ((probe % 3) * PROBE_BITS)) & (2 ** PROBE_BITS - 1);
}
