const MAX_ID = 65_535;

/**
 * Packet ids of one connection (MQTT 3.1.1, 2.3.1; MQTT 5, 2.2.1): each is used once at a time. The
 * client library takes those of its own packets from here too.
 */
export class PacketIds {
  readonly #isUsed = new Uint8Array(MAX_ID + 1);
  #last = 0;
  #count = 0;

  /** The next free one; null: all are used. */
  allocate(): number | null {
    if (this.#count >= MAX_ID) return null;
    do this.#last = (this.#last % MAX_ID) + 1;
    while (this.#isUsed[this.#last] === 1);
    this.#isUsed[this.#last] = 1;
    this.#count += 1;
    return this.#last;
  }

  getLastAllocated(): number | null {
    return this.#last === 0 ? null : this.#last;
  }

  register(id: number): boolean {
    if (this.#isUsed[id] !== 0) return false;
    this.#isUsed[id] = 1;
    this.#count += 1;
    return true;
  }

  deallocate(id: number): void {
    if (this.#isUsed[id] !== 1) return;
    this.#isUsed[id] = 0;
    this.#count -= 1;
  }

  clear(): void {
    this.#isUsed.fill(0);
    this.#count = 0;
  }
}
