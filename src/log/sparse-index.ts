import { ByteReader, viewOf, writeU64 } from './bytes.ts';

/**
 * Where blocks are in a segment, one entry every 64 pages: docs/log-format.md, *Index*. A cache: it
 * is made anew by a scan whenever it is missing.
 */
export interface IndexEntry {
  readonly page: number;
  readonly number: number;
  readonly runMs: number;
  readonly wallMs: number;
  /**
   * Next offset of each partition, in the order of the segment header's tables, before this block.
   */
  readonly nextOffsets: readonly number[];
}

export const INDEX_INTERVAL_PAGES = 64;
const FIXED_BYTES = 24;

export class SparseIndex {
  readonly #entries: IndexEntry[] = [];

  /** Called for every block in order; keeps one now and then. `nextOffsets` is copied. */
  note(entry: IndexEntry): void {
    const last = this.#entries.at(-1);
    if (last !== undefined && entry.page < last.page + INDEX_INTERVAL_PAGES) return;
    this.#entries.push({ ...entry, nextOffsets: [...entry.nextOffsets] });
  }

  /** In their order. */
  get entries(): readonly IndexEntry[] {
    return this.#entries;
  }

  /** Of what `encode` gives. */
  get sizeBytes(): number {
    return this.#entries.reduce((sum, e) => sum + FIXED_BYTES + 8 * e.nextOffsets.length, 0);
  }

  encode(): Uint8Array {
    const bytes = new Uint8Array(this.sizeBytes);
    const view = viewOf(bytes);
    let at = 0;
    for (const entry of this.#entries) {
      view.setUint32(at, entry.page, true);
      view.setUint32(at + 4, entry.number, true);
      writeU64(view, at + 8, entry.runMs);
      writeU64(view, at + 16, entry.wallMs);
      at += FIXED_BYTES;
      for (const offset of entry.nextOffsets) {
        writeU64(view, at, offset);
        at += 8;
      }
    }
    return bytes;
  }

  /** `partitions`: how many there are in the segment header's tables. */
  static decode(bytes: Uint8Array, partitions: number): SparseIndex {
    const index = new SparseIndex();
    const reader = new ByteReader(bytes);
    while (!reader.atEnd) {
      const page = reader.u32();
      const number = reader.u32();
      const runMs = reader.u64();
      const wallMs = reader.u64();
      const nextOffsets = Array.from({ length: partitions }, () => reader.u64());
      index.#entries.push({ page, number, runMs, wallMs, nextOffsets });
    }
    return index;
  }
}
