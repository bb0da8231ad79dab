import fc from 'fast-check';
import { expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import type { Journal } from '../../../src/log/journal.ts';
import { earliestOffsets, StreamCursor } from '../../../src/log/log-reader.ts';
import type { DroppedOffsets } from '../../../src/log/retention.ts';
import { FakeFiles, type Life, NO_POWER } from '../../support/fake-files.ts';
import {
  append,
  noiseOf,
  openTestJournal,
  readAll,
  reading,
  textOf,
} from '../../support/journals.ts';

// The log against a plain array for each partition: appends, crashes, reads, rolls, packing and
// retention in any order. `KEPT` holds the seeds that once found something.

type Action =
  | { readonly do: 'append'; readonly sizes: readonly number[]; readonly isNoise: boolean }
  | { readonly do: 'read'; readonly partition: number; readonly share: number }
  | { readonly do: 'restart' }
  | { readonly do: 'kill'; readonly sizes: readonly number[] }
  | { readonly do: 'cut'; readonly sizes: readonly number[]; readonly seed: number }
  | { readonly do: 'retain' };

const KEPT: readonly number[] = [];
const SEED = Number(process.env['SEED'] ?? 20_261_124);

const size = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 9_000 }));
const sizes = fc.array(size, { minLength: 1, maxLength: 6 });
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('append'), sizes, isNoise: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('read'),
      partition: fc.nat({ max: 1 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill'), sizes }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cut'), sizes, seed: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retain') }) },
) as fc.Arbitrary<Action>;

/** A log and what it should hold. */
class Bench {
  readonly #files = new FakeFiles();
  readonly #random = seededRandom(1);
  /** By partition: all texts in the order of their offsets, dropped ones too. */
  readonly #model: string[][] = [[], []];
  /** By partition: how many retention has dropped. */
  readonly #dropped = [0, 0];
  /** Sent since the last start, and not known to be durable. */
  readonly #doubtful = new Set<string>();
  #life: Life = this.#files.live();
  #journal: Journal | undefined;
  #count = 0;

  get #open(): Journal {
    if (this.#journal === undefined) throw new Error('not open');
    return this.#journal;
  }

  async start(): Promise<void> {
    this.#life = this.#files.live();
    this.#journal = await openTestJournal(this.#life.files, {
      segmentBytes: 32 * 1024,
      compression: 'auto',
      packing: true,
      retention: { maxBytes: 200 * 1024, maxAgeMs: 0 },
      onDrop: (dropped) => this.#drop(dropped),
    });
    await this.#check();
  }

  #drop(dropped: readonly DroppedOffsets[]): void {
    for (const { partition, offset, count } of dropped) {
      this.#dropped[partition] = Math.max(this.#dropped[partition] ?? 0, offset + count);
    }
  }

  #send(sizes: readonly number[], isNoise: boolean): Array<Promise<void>> {
    return sizes.map(async (bytes) => {
      const filler = isNoise ? noiseOf(this.#random, bytes) : 'x'.repeat(bytes);
      const text = `${this.#count} ${filler}`;
      const partition = this.#count % 2;
      this.#count += 1;
      this.#doubtful.add(text);
      const offset = await append(this.#open, partition, reading(`d${partition}`, text));
      const own = this.#model[partition] ?? [];
      expect(offset).toBe(own.length);
      own.push(text);
      this.#doubtful.delete(text);
    });
  }

  /** After a start: the model, and perhaps what was under way, in its order. */
  async #check(): Promise<void> {
    for (const [partition, found] of (await this.#found()).entries()) {
      const own = this.#model[partition] ?? [];
      // Retention may have dropped more than it came to tell of; never what is not whole segments.
      const first = found.first ?? own.length;
      const expected = own.slice(first);
      expect(found.texts.slice(0, expected.length)).toEqual(expected);
      for (const text of found.texts.slice(expected.length)) {
        expect(this.#doubtful.has(text), `nobody sent ${text.slice(0, 9)} here`).toBe(true);
        own.push(text);
      }
      expect(first).toBeLessThanOrEqual(this.#dropped[partition] ?? 0);
    }
    this.#doubtful.clear();
  }

  async #found(): Promise<Array<{ first: number | undefined; texts: string[] }>> {
    const records = await readAll(this.#files, this.#open);
    return [0, 1].map((partition) => {
      const own = records.filter((record) => record.partition === partition);
      const first = own[0]?.offset;
      expect(own.map(({ offset }) => offset)).toEqual(own.map((_, i) => (first ?? 0) + i));
      return { first, texts: own.map(textOf) };
    });
  }

  async #read(partition: number, share: number): Promise<void> {
    const own = this.#model[partition] ?? [];
    const earliest = earliestOffsets(this.#open, 'readings');
    const at = Math.floor(share * own.length);
    const from = [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
    from[partition] = at;
    const cursor = new StreamCursor({
      files: this.#files,
      view: this.#open,
      stream: 'readings',
      from,
    });
    const texts: string[] = [];
    for (let some = await cursor.next(); some !== undefined; some = await cursor.next()) {
      texts.push(...some.map(textOf));
    }
    await cursor.close();
    expect(texts).toEqual(own.slice(Math.max(at, earliest[partition] ?? 0)));
  }

  async run(step: Action): Promise<void> {
    if (step.do === 'append') await Promise.all(this.#send(step.sizes, step.isNoise));
    else if (step.do === 'read') await this.#read(step.partition, step.share);
    else if (step.do === 'retain') await this.#open.retain();
    else if (step.do === 'restart') {
      await this.#open.close();
      await this.start();
    } else {
      const sent = Promise.allSettled(this.#send(step.sizes, true));
      await new Promise(setImmediate);
      await this.#crash(step, sent);
    }
  }

  async #crash(step: Action, sent: Promise<unknown>): Promise<void> {
    if (step.do === 'cut') this.#files.fault = () => NO_POWER;
    this.#life.kill();
    await sent;
    await this.#open.close().catch(() => {});
    if (step.do === 'cut') {
      const random = seededRandom(step.seed);
      const share = step.seed % 3 === 0 ? 0 : step.seed % 3 === 1 ? 1 : 0.5;
      const isKept = () => random() < share;
      this.#files.powerCut(isKept, { keepsNames: isKept });
    }
    this.#files.fault = () => undefined;
    await this.start();
  }

  async end(): Promise<void> {
    await this.#check();
    await this.#open.close();
  }
}

it.each([...KEPT, SEED])(
  'is a plain array that survives, seed %i',
  async (seed) => {
    const check = async (steps: readonly Action[]) => {
      const bench = new Bench();
      await bench.start();
      for (const step of steps) await bench.run(step);
      await bench.end();
    };
    const actions = fc.array(action, { minLength: 5, maxLength: 40 });
    const numRuns = Number(process.env['RUNS'] ?? 60);
    await fc.assert(fc.asyncProperty(actions, check), { seed, numRuns });
  },
  300_000,
);
