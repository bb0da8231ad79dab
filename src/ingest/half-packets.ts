/** Whoever has sent a part of a packet. */
export interface HalfSender {
  /** Its socket is read from: if not, that no more comes is no fault of its own. */
  readonly isRead: boolean;
  /** The rest has not come in time. */
  late(): void;
}

export interface HalfPacketsOptions {
  readonly maxBytes: number;
  /** A packet becomes whole, or comes on by `PROGRESS_BYTES`, within this and once more of it. */
  readonly withinMs: number;
}

interface Half {
  bytes: number;
  /** Packets of this sender that were whole before it. */
  readonly packets: number;
  /** Bytes when it was last looked at. */
  seenBytes: number | undefined;
}

/** So much must come each time: even a slow modem sends a kilobyte a second. */
const PROGRESS_BYTES = 64 * 1024;

/**
 * Packets that are not whole yet, over all clients: each may have one of the largest size on its
 * way, and all of them together may not, nor for ever. With a keepalive of 0 nothing else would end
 * a packet that trickles in, and the room it takes is that of all.
 */
export class HalfPackets {
  readonly #options: HalfPacketsOptions;
  readonly #halves = new Map<HalfSender, Half>();
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HalfPacketsOptions) {
    this.#options = options;
  }

  /** `bytes` wait now, behind so many whole packets. False: there is no room for them. */
  note(sender: HalfSender, bytes: number, packets: number): boolean {
    const half = this.#halves.get(sender);
    const before = half?.bytes ?? 0;
    this.#bytes += bytes - before;
    // Nearly always: nothing waited, and nothing waits.
    if (bytes === 0) {
      if (half !== undefined) this.#halves.delete(sender);
      return true;
    }
    if (half?.packets === packets) half.bytes = bytes;
    else this.#halves.set(sender, { bytes, packets, seenBytes: undefined });
    this.#watch();
    return bytes <= before || this.#bytes <= this.#options.maxBytes;
  }

  forget(sender: HalfSender): void {
    this.note(sender, 0, 0);
  }

  #watch(): void {
    if (this.#timer !== undefined || this.#halves.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#look();
      this.#watch();
    }, this.#options.withinMs);
    this.#timer.unref();
  }

  #look(): void {
    for (const [sender, half] of this.#halves) {
      const { bytes, seenBytes } = half;
      const isLate = seenBytes !== undefined && bytes - seenBytes < PROGRESS_BYTES;
      half.seenBytes = sender.isRead ? bytes : undefined;
      if (isLate && sender.isRead) sender.late();
    }
  }
}
