type Done = (error?: Error | null) => void;

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
  #entries: Entry[] = [];
  #head = 0;
  #broken = false;

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
      if (entry === this.#entries[this.#head]) this.#flush();
    };
  }

  #flush(): void {
    for (;;) {
      const entry = this.#entries[this.#head];
      if (entry === undefined) {
        this.#entries = [];
        this.#head = 0;
        return;
      }
      if (entry.state === 'waiting' || this.#broken) return;
      this.#head += 1;
      if (entry.state === 'accepted') {
        entry.done();
      } else {
        this.#broken = true;
        this.#refuse(entry.state, entry.done);
      }
    }
  }
}
