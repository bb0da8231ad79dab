import type { Fingerprint } from './fingerprint.ts';

const BITS_PER_ID = 16;
/** A filter's bits for one fingerprint stand in one block: one cache line. */
const BLOCK_WORDS = 16;
const PROBES = 5;
/** Bits of a lane that choose one of a block's. */
const PROBE_BITS = 9;

/**
 * Which fingerprints may be in a run, so that those which are not, nearly all, are not looked for:
 * a Bloom filter in blocks (Putze, Sanders and Singler, 2007), 2 bytes an id; it is wrong once in
 * some 500 times. A fingerprint's bits are random as they are.
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

  add({ b, c, d }: Pick<Fingerprint, 'b' | 'c' | 'd'>): void {
    const block = this.#blockOf(b);
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = bitOf(c, d, probe);
      const at = block + (bit >>> 5);
      this.words[at] = (this.words[at] ?? 0) | (1 << (bit & 31));
    }
  }

  mayHave({ b, c, d }: Pick<Fingerprint, 'b' | 'c' | 'd'>): boolean {
    const block = this.#blockOf(b);
    for (let probe = 0; probe < PROBES; probe++) {
      const bit = bitOf(c, d, probe);
      if (((this.words[block + (bit >>> 5)] ?? 0) & (1 << (bit & 31))) === 0) return false;
    }
    return true;
  }

  #blockOf(lane: number): number {
    return ((lane >>> 0) % (this.words.length / BLOCK_WORDS)) * BLOCK_WORDS;
  }
}

/** Three of them in the one lane, two in the other. */
function bitOf(c: number, d: number, probe: number): number {
  const lane = probe < 3 ? c : d;
  return (lane >>> ((probe % 3) * PROBE_BITS)) & (2 ** PROBE_BITS - 1);
}
