type Done = (error?: Error | null) => void;

interface Entry {
  readonly done: Done;
  state: 'waiting' | 'accepted' | Error;
}

/**
 * Lets the acknowledgements of one connection go out in the order in which its messages came in
 * [MQTT-4.6.0-2], whichever is durable first: readings and dead letters, for one, are in different
 * stores.
 */
export class AckQueue {
  readonly #refuse: (error: Error, done: Done) => void;
  #entries: Entry[] = [];
  #broken = false;

  /**
   * `refuse` is told once, of the first message that was not accepted; nothing after it is
   * answered.
   */
  constructor(refuse: (error: Error, done: Done) => void) {
    this.#refuse = refuse;
  }

  add(accepted: Promise<void> | undefined, done: Done): void {
    if (accepted === undefined && this.#entries.length === 0) {
      if (!this.#broken) done();
      return;
    }
    const entry: Entry = { done, state: accepted === undefined ? 'accepted' : 'waiting' };
    this.#entries.push(entry);
    accepted?.then(
      () => {
        entry.state = 'accepted';
        this.#flush();
      },
      (error: Error) => {
        entry.state = error;
        this.#flush();
      },
    );
  }

  #flush(): void {
    let answered = 0;
    for (const { state, done } of this.#entries) {
      if (this.#broken || state === 'waiting') break;
      answered += 1;
      if (state === 'accepted') done();
      else {
        this.#broken = true;
        this.#refuse(state, done);
      }
    }
    this.#entries.splice(0, answered);
  }
}
