/**
 * Sequence numbers of one boot of a device that were never seen, though higher ones were: from the
 * first to the last of a row that is missing.
 */
export interface Gap {
  readonly device: string;
  readonly boot: string;
  readonly from: number;
  readonly to: number;
}

/** The gaps of a stream that are still open. */
export type Gaps = () => Iterable<Gap>;
