import type { Journal } from '../../src/log/journal.ts';
import type { JournalOptions } from '../../src/log/journal-options.ts';
import { FakeClock } from './fake-clock.ts';
import type { FakeFiles } from './fake-files.ts';
import { append, openTestJournal, reading } from './journals.ts';

/** A boot of a gateway whose clocks are told what to say. */
export class Boot {
  readonly clock: FakeClock;
  readonly journal: Journal;

  private constructor(journal: Journal, clock: FakeClock) {
    this.journal = journal;
    this.clock = clock;
  }

  /** `wall`: what the clock says when the kernel has run for `mono` ms. */
  static async start(
    files: FakeFiles,
    name: number,
    at: { readonly mono: number; readonly wall: number },
    more: Partial<JournalOptions> = {},
  ): Promise<Boot> {
    const clock = new FakeClock();
    Object.assign(clock, at);
    const boot = new Uint8Array(8).fill(name);
    return new Boot(await openTestJournal(files, { clock, boot, ...more }), clock);
  }

  /** One commit, `afterMs` later. */
  async put(partition: number, text: string, afterMs = 1_000, stream?: string): Promise<number> {
    this.clock.advance(afterMs);
    const monoMs = this.clock.mono;
    return append(this.journal, partition, reading('d', text, { monoMs }), stream);
  }

  /** Many at once, hence in few commits. */
  async putMany(texts: readonly string[]): Promise<void> {
    const monoMs = this.clock.mono;
    const all = texts.map((text, i) => append(this.journal, i % 2, reading('d', text, { monoMs })));
    await Promise.all(all);
  }

  stop(): Promise<void> {
    return this.journal.close();
  }
}
