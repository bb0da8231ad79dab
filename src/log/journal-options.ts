import type { Clock, Random } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Files } from '../os/files.ts';
import type { Compression } from './codec.ts';
import type { DroppedOffsets, Retention } from './retention.ts';
import type { WriteBudget } from './write-budget.ts';

export interface StreamOptions {
  readonly name: string;
  readonly partitions: number;
  /** Default: the journal's. */
  readonly lingerMs?: number | undefined;
  /** Default false: its records wait when the write budget asks for it. */
  readonly isUrgent?: boolean;
}

/** Keeps what is needed of records that are about to be dropped. */
export type BeforeDrop = (dropped: readonly DroppedOffsets[]) => Promise<void>;

export interface JournalOptions {
  readonly files: Files;
  readonly folder: string;
  readonly streams: readonly StreamOptions[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** First 8 bytes of the kernel's boot id. */
  readonly boot: Uint8Array;
  /** Longest wait for company before a commit, ms. */
  readonly lingerMs: number;
  /** Stretches the wait when writes run ahead of it; stores of one card share it. */
  readonly budget?: WriteBudget | undefined;
  readonly segmentBytes: number;
  /** Default `auto`. */
  readonly compression?: Compression;
  /** Default true: sealed segments that are mostly padding are packed. */
  readonly packing?: boolean;
  readonly maxPendingBytes: number;
  readonly retention: Retention;
  /**
   * Offsets that consumers of this log have handled: none below is ever given out again, whatever
   * has become of what stood there.
   */
  readonly handled?: (logId: string) => Promise<ReadonlyMap<string, readonly number[]>>;
  /** Told of what retention has removed. */
  readonly onDrop?: (dropped: readonly DroppedOffsets[]) => void;
}
