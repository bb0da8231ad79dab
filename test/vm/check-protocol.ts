/** What the lab asks of a checker, a line of JSON each, and what it says. */

export interface CheckRequest {
  readonly device: string;
  readonly fs: 'ext4' | 'f2fs';
  /** By device, as runs: what the devices send once more, since nobody acknowledged it. */
  readonly resend: Readonly<Record<string, string>>;
}

export interface CheckAnswer {
  /** Why the disk could not be mounted, or the gateway not started. */
  readonly failed?: string;
  /** By device, as runs: what the log holds, in its order, before and after the resending. */
  readonly found: Readonly<Record<string, string>>;
  readonly foundAfter: Readonly<Record<string, string>>;
  /** Readings whose payload is another one than was sent. */
  readonly changed: readonly string[];
  readonly corruptBlocks: number;
  readonly lostOffsets: number;
  /** Of the gateway that started on it, in ms. */
  readonly startMs: number;
}
