/**
 * All that a disk was told, in order: what the power cut lab rebuilds its states from. A place in
 * the record is the number of entries before it; it also dates what happens elsewhere, such as an
 * acknowledgement.
 */

export interface DiskWrite {
  readonly kind: 'write';
  readonly offset: number;
  readonly data: Buffer;
  /** Answered only once it is on the medium (FUA). */
  readonly isForced: boolean;
}

export interface DiskFlush {
  readonly kind: 'flush';
  /** Entries before this place are on the medium once the flush has been answered. */
  readonly covers: number;
}

export type DiskEntry = DiskWrite | DiskFlush;

export class DiskRecord {
  readonly #entries: DiskEntry[] = [];
  #bytesWritten = 0;

  get length(): number {
    return this.#entries.length;
  }

  get entries(): readonly DiskEntry[] {
    return this.#entries;
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** When a write comes in: from then on some of it may be on the medium. Copies the data. */
  write(offset: number, data: Uint8Array, isForced = false): void {
    this.#entries.push({ kind: 'write', offset, data: Buffer.from(data), isForced });
    this.#bytesWritten += data.length;
  }

  /**
   * When a flush is about to be answered. `covers` is the length of the record when the flush came
   * in, less what had not been answered by then: nobody could count on that.
   */
  flush(covers: number): void {
    this.#entries.push({ kind: 'flush', covers });
  }

  /** Of the entries before `cut`: those before this place are on the medium for sure. */
  flushedAt(cut: number): number {
    let flushed = 0;
    for (let at = 0; at < Math.min(cut, this.#entries.length); at++) {
      const entry = this.#entries[at];
      if (entry?.kind === 'flush') flushed = Math.max(flushed, entry.covers);
    }
    return flushed;
  }

  /** How many writes a power cut at `cut` may take back, whole or in part. */
  unflushedAt(cut: number): number {
    const flushed = this.flushedAt(cut);
    return this.#entries.slice(flushed, cut).filter(isOpen).length;
  }
}

/** Whether a write that no flush covers may be lost. */
function isOpen(entry: DiskEntry): boolean {
  return entry.kind === 'write' && !entry.isForced;
}
