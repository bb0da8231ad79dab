export type LineEvent =
  /** Without its end: LF, or CR and LF. */
  | { readonly kind: 'line'; readonly line: Uint8Array }
  | { readonly kind: 'tooLong'; readonly bytes: number };

const LF = 0x0a;
const CR = 0x0d;

/**
 * Finds the lines in what a serial line brings, wherever it is split. Empty ones are nothing. Holds
 * no more than the longest line.
 */
export class LineFramer {
  readonly #line: Uint8Array;
  readonly #maxLineBytes: number;
  /** Of this line, also those for which there was no room. */
  #bytes = 0;

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
    this.#line = new Uint8Array(maxLineBytes + 1);
  }

  take(bytes: Uint8Array): LineEvent[] {
    const events: LineEvent[] = [];
    for (const byte of bytes) {
      if (byte !== LF) {
        if (this.#bytes < this.#line.length) this.#line[this.#bytes] = byte;
        this.#bytes += 1;
        continue;
      }
      const event = this.#event();
      if (event !== undefined) events.push(event);
      this.#bytes = 0;
    }
    return events;
  }

  #event(): LineEvent | undefined {
    const bytes = this.#bytes;
    const isHeld = bytes <= this.#line.length;
    const length = isHeld && this.#line[bytes - 1] === CR ? bytes - 1 : bytes;
    if (length === 0) return undefined;
    if (length > this.#maxLineBytes) return { kind: 'tooLong', bytes };
    return { kind: 'line', line: this.#line.slice(0, length) };
  }
}
