/**
 * Bytes of packets that are not whole yet, over all clients: each may have one of the largest size
 * on its way, and all of them together may not.
 */
export class HalfPackets {
  readonly #maxBytes: number;
  readonly #byClient = new Map<object, number>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** `bytes` of this client's wait now. False: there is no room for them. */
  note(client: object, bytes: number): boolean {
    const before = this.#byClient.get(client) ?? 0;
    // Nearly always: nothing waited, and nothing waits.
    if (before === bytes) return true;
    this.#bytes += bytes - before;
    if (bytes === 0) this.#byClient.delete(client);
    else this.#byClient.set(client, bytes);
    return bytes <= before || this.#bytes <= this.#maxBytes;
  }

  forget(client: object): void {
    this.note(client, 0);
  }
}
