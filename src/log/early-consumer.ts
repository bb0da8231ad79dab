import type { LogRecord, RecordPosition } from '../base/reading.ts';
import type { EarlyConsumer } from './consumer.ts';
import { Durability } from './durability.ts';
import { type ConsumerOptions, StreamConsumer } from './stream-consumer.ts';

/** A consumer of what has been appended to one stream of this gateway's journal. */
export class JournalEarlyConsumer implements EarlyConsumer {
  readonly name: string;
  readonly stream: string;
  readonly #options: ConsumerOptions;
  readonly #durability: Durability;
  /** Where it goes back to if nothing was stored. */
  readonly #begin: string | undefined;
  #consumer: StreamConsumer;
  #isWithdrawn = false;

  constructor(options: ConsumerOptions) {
    this.name = options.name;
    this.stream = options.stream;
    this.#options = options;
    this.#durability = new Durability(options.journal, options.stream);
    this.#consumer = this.#open(options.stored);
    this.#begin = [...this.#consumer.checkpoint().values()][0];
  }

  #open(stored: string | undefined): StreamConsumer {
    const onWithdrawn = () => {
      this.#isWithdrawn = true;
    };
    return new StreamConsumer({ ...this.#options, stored, onWithdrawn });
  }

  get isWithdrawn(): boolean {
    return this.#isWithdrawn;
  }

  /** First offset of a partition that is not handled. */
  position(partition: number): number {
    return this.#consumer.position(partition);
  }

  backlog(): number {
    return this.#consumer.backlog();
  }

  async read(maxRecords: number, signal: AbortSignal): Promise<readonly LogRecord[]> {
    return this.#consumer.read(maxRecords, signal);
  }

  handled(record: LogRecord): void {
    this.#consumer.handled(record);
  }

  rewind(): void {
    // Of a reader that has nothing to give: `goBack` makes the next one.
    if (!this.#isWithdrawn) this.#consumer.rewind();
  }

  checkpoint(): ReadonlyMap<string, string> {
    return this.#consumer.checkpoint();
  }

  isDurable({ partition, offset }: RecordPosition): Promise<boolean> {
    const to = Array.from({ length: partition + 1 }, (_, p) => (p === partition ? offset + 1 : 0));
    return this.#isDurableTo(to);
  }

  handledIsDurable(): Promise<boolean> {
    return this.#isDurableTo(this.#consumer.positions());
  }

  #isDurableTo(to: readonly number[]): Promise<boolean> {
    // Other records may have these offsets by now.
    return this.#isWithdrawn ? Promise.resolve(false) : this.#durability.of(to);
  }

  hurry(): void {
    this.#options.journal.hurry();
  }

  goBack(stored: string | undefined): void {
    this.#consumer.close();
    this.#isWithdrawn = false;
    this.#consumer = this.#open(stored ?? this.#begin);
  }

  close(): void {
    this.#durability.close();
    this.#consumer.close();
  }
}
