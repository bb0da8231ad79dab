/** One window's bits. */
export const WINDOW_BITS = 1024;
const WORDS = WINDOW_BITS / 32;
const WINDOWS_PER_CHUNK = 256;

/** Where a window's bits stand. */
export interface SlabPlace {
  readonly words: Uint32Array;
  /** Of the first of its words. */
  readonly at: number;
}

/**
 * The bits of many windows, in few arrays: an array for each would take more memory for itself than
 * for its bits.
 */
export class BitSlab {
  readonly #free: SlabPlace[] = [];

  /** All bits 0. */
  take(): SlabPlace {
    let place = this.#free.pop();
    if (place === undefined) {
      this.#grow();
      place = this.#free.pop() ?? { words: new Uint32Array(WORDS), at: 0 };
    }
    place.words.fill(0, place.at, place.at + WORDS);
    return place;
  }

  give(place: SlabPlace): void {
    this.#free.push(place);
  }

  #grow(): void {
    const words = new Uint32Array(WINDOWS_PER_CHUNK * WORDS);
    for (let n = WINDOWS_PER_CHUNK - 1; n >= 0; n--) this.#free.push({ words, at: n * WORDS });
  }
}
