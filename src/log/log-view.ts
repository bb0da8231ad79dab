import type { SegmentInfo } from './catalog.ts';
import type { SparseIndex } from './sparse-index.ts';

/**
 * What readers need to know of a store: the journal of a running gateway, or the files of a folder.
 */
export interface LogView {
  /** Looks again at what is there; nothing to do where that is always known. */
  look(): Promise<void>;
  /** Oldest first; the last one is active. */
  segments(): readonly SegmentInfo[];
  /** First page of the segment that is not committed yet; undefined: read to whatever is there. */
  endOf(sequence: number): number | undefined;
  /** The index of a segment, if it is at hand without reading. */
  indexOf(sequence: number): SparseIndex | undefined;
}
