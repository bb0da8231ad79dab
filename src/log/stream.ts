/** A stream of a journal, as its writers hold it. */
export interface Stream {
  readonly name: string;
  readonly partitions: number;
  /** Where its partitions begin in the journal's row of next offsets. */
  readonly firstSlot: number;
  /** Longest wait of its records for company, ms. */
  readonly lingerMs: number;
  /** Its records do not wait for the write budget. */
  readonly isUrgent: boolean;
}

/** Whose place in that row it is. */
export interface Slot {
  readonly stream: number;
  readonly partition: number;
}
