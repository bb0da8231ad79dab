type Done = (error?: Error | null) => void;

const COMPACT_AFTER = 1_024;

/** One message between its arrival and its answer. */
class Entry {
  readonly done: Done;
  state: 'waiting' | 'accepted' | Error = 'waiting';

  constructor(done: Done) {
    this.done = done;
  }
}

/**
 * Lets the acknowledgements of one connection go out in the order in which its messages came in
 * [MQTT-4.6.0-2], whichever is durable first: readings and dead letters, for one, are in different
 * stores.
 */
export class AckQueue {
  readonly #refuse: (error: Error, done: Done) => void;
  /** From `#head` on: those not answered yet. */
  readonly #entries: Entry[] = [];
  #head = 0;
  #broken = false;
  #refusing = false;

  /**
   * `refuse` is told once, of the first message that was not accepted; nothing after it is
   * answered.
   */
  constructor(refuse: (error: Error, done: Done) => void) {
    this.#refuse = refuse;
  }

  /**
   * A message that is answered when what is returned is called, and those before it are answered.
   */
  add(done: Done): (error: Error | undefined) => void {
    const entry = new Entry(done);
    this.#entries.push(entry);
    return (error) => {
      entry.state = error ?? 'accepted';
      if (error !== undefined) this.#refusing = true;
      if (entry === this.#entries[this.#head]) this.#flush();
    };
  }

  /** A message is not answered yet. */
  get isWaiting(): boolean {
    return this.#head < this.#entries.length;
  }

  /**
   * A message was refused, whether or not its turn has come: nothing that comes after it may be
   * taken, or it would be in the log before the refused one, which its sender still has.
   */
  get isRefusing(): boolean {
    return this.#refusing;
  }

  #flush(): void {
    for (;;) {
      const entry = this.#entries[this.#head];
      if (entry === undefined || entry.state === 'waiting' || this.#broken) break;
      this.#head += 1;
      if (entry.state === 'accepted') {
        entry.done();
      } else {
        this.#broken = true;
        this.#refuse(entry.state, entry.done);
      }
    }
    // Now and then, since moving what is left costs time.
    if (this.#head === this.#entries.length || this.#head >= COMPACT_AFTER) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
