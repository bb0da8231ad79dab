import type { LostOffsets } from './recovery.ts';

/** What the journal knows of its own health. */
export interface JournalStatus {
  /** `stopped`: the flash takes no data; nothing is acknowledged until it does again. */
  readonly state: 'durable' | 'stopped' | 'closed';
  readonly lastError: string | undefined;
  readonly bytesWritten: number;
  /** Payloads that became durable, as they came. */
  readonly payloadBytes: number;
  readonly commits: number;
  /** Commits that have ended one way or the other, and tries to write again after a failure. */
  readonly attempts: number;
  /** One of them is on its way. */
  readonly isCommitting: boolean;
  readonly pendingBytes: number;
  readonly segments: number;
  /** Of their files, with one that is ready for the next segment: what retention bounds. */
  readonly sizeBytes: number;
  readonly tornBytes: number;
  readonly corruptBlocks: number;
  readonly lost: readonly LostOffsets[];
}
