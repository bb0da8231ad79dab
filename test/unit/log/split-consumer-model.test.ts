import { expect, it } from 'vitest';
import { type Random, seededRandom } from '../../../src/base/clock.ts';
import type { LogRecord } from '../../../src/base/reading.ts';
import { checkpointKey } from '../../../src/log/checkpoint.ts';
import type { Journal } from '../../../src/log/journal.ts';
import { type Source, SplitConsumer } from '../../../src/log/split-consumer.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { append, noiseOf, openTestJournal, reading } from '../../support/journals.ts';

// One stream that is read from two places, against plain sets: records come in and are dropped by
// retention, acknowledgements come in any order or never, links end, the gateway is killed.

const STREAM = 'metres';
const PARTITIONS = 2;
const FIRST_SEED = Number(process.env['SEED'] ?? 20_261_125);
const SEEDS = Array.from({ length: 12 }, (_, i) => FIRST_SEED + i);
const STEPS = 150;

type Place = Pick<LogRecord, 'partition' | 'offset'>;
const nameOf = ({ partition, offset }: Place) => `${partition}/${offset}`;

interface Side {
  readonly source: Source;
  /** Given out since the last rewind, and not acknowledged. */
  readonly onTheirWay: Map<string, Place>;
}

class Bench {
  readonly #files = new FakeFiles();
  readonly #random: Random;
  /** What the far side has. */
  readonly #far = new Set<string>();
  readonly #delivered = new Set<string>();
  /** Per partition: before this offset retention has dropped all. */
  readonly #dropped = Array.from({ length: PARTITIONS }, () => 0);
  readonly #end = Array.from({ length: PARTITIONS }, () => 0);
  /** The checkpoint that a crash comes back to. */
  #stored: string | undefined;
  #journal: Journal | undefined;
  #consumer: SplitConsumer | undefined;
  #sides: readonly Side[] = [];
  deliveries = 0;
  historical = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  get #open() {
    if (this.#journal === undefined || this.#consumer === undefined) throw new Error('not open');
    return { journal: this.#journal, consumer: this.#consumer };
  }

  get droppedCount(): number {
    return this.#dropped.reduce((sum, to) => sum + to, 0);
  }

  #upTo(count: number): number {
    return Math.floor(this.#random() * count);
  }

  async start(): Promise<void> {
    const files = this.#files;
    const journal = await openTestJournal(files, {
      streams: [{ name: STREAM, partitions: PARTITIONS }],
      segmentBytes: 32 * 1024,
      retention: { maxBytes: 512 * 1024, maxAgeMs: 0 },
      onDrop: (ranges) => {
        for (const { partition, offset, count } of ranges) {
          this.#dropped[partition] = Math.max(this.#dropped[partition] ?? 0, offset + count);
        }
      },
    });
    this.#journal = journal;
    const options = { name: 'c', stream: STREAM, journal, files, newest: 1 + this.#upTo(12) };
    this.#consumer = new SplitConsumer({ ...options, stored: this.#stored });
    this.#begin();
  }

  /** A new link. */
  #begin(): void {
    const { consumer } = this.#open;
    consumer.split(this.#random() < 0.8 ? 'fresh' : 'strict');
    this.#sides = [consumer.fresh, consumer.behind].map((source) => ({
      source,
      onTheirWay: new Map<string, Place>(),
    }));
  }

  async stop(): Promise<void> {
    this.#consumer?.close();
    await this.#journal?.close();
  }

  async #store(): Promise<void> {
    const { journal } = this.#open;
    const size = this.#random() < 0.3 ? 8_000 : 10;
    for (let left = 1 + this.#upTo(8); left > 0; left--) {
      const partition = this.#upTo(PARTITIONS);
      const text = noiseOf(this.#random, size);
      this.#end[partition] = 1 + (await append(journal, partition, reading('a', text), STREAM));
    }
  }

  /** At most `most`; none where nothing comes. The abort may come in the middle of a read. */
  async #read({ source, onTheirWay }: Side, most: number, turns: number): Promise<number> {
    const stop = new AbortController();
    const coming = source.read(most, stop.signal);
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    const records = await coming;
    for (const record of records) {
      const name = nameOf(record);
      expect(this.#isHandled(record), `${name} is handled already`).toBe(false);
      expect(
        this.#sides.some((side) => side.onTheirWay.has(name)),
        `${name} twice`,
      ).toBe(false);
      expect(source.owns(record), `${name} is of this side`).toBe(true);
      onTheirWay.set(name, record);
      this.#delivered.add(name);
      this.deliveries += 1;
      if (source.isHistorical(record)) this.historical += 1;
    }
    return records.length;
  }

  #isHandled({ partition, offset }: Place): boolean {
    return this.#open.consumer.progress.has(partition, offset);
  }

  /** Any of those on their way. */
  #acknowledge({ source, onTheirWay }: Side): void {
    for (const [name, { partition, offset }] of [...onTheirWay]) {
      if (this.#random() < 0.4) continue;
      this.#far.add(name);
      onTheirWay.delete(name);
      source.handled(partition, { from: offset, to: offset + 1 });
    }
  }

  /** The link ends: the far side may have some of which the gateway will never hear. */
  #endLink(): void {
    for (const { onTheirWay } of this.#sides) {
      for (const name of onTheirWay.keys()) if (this.#random() < 0.3) this.#far.add(name);
    }
    this.#begin();
  }

  #save(): void {
    this.#stored = this.#open.consumer.checkpoint().get(checkpointKey('c', STREAM));
  }

  async step(): Promise<void> {
    const side = this.#sides[this.#upTo(2)];
    if (side === undefined) throw new Error('there are two');
    const what = this.#random();
    if (what < 0.3) await this.#store();
    else if (what < 0.6) await this.#read(side, 1 + this.#upTo(20), this.#upTo(12));
    else if (what < 0.8) this.#acknowledge(side);
    else if (what < 0.88) this.#save();
    else if (what < 0.93) this.#endLink();
    else if (what < 0.96) {
      side.source.rewind();
      side.onTheirWay.clear();
    } else if (what < 0.98) await this.#open.journal.retain();
    else {
      await this.stop();
      await this.start();
    }
    this.#check();
  }

  /** What is handled, the far side has, or retention has dropped. */
  #check(): void {
    const { consumer } = this.#open;
    let open = 0;
    for (const [partition, end] of this.#end.entries()) {
      const dropped = this.#dropped[partition] ?? 0;
      const { progress } = consumer;
      expect(progress.position(partition)).toBeLessThanOrEqual(end);
      for (let offset = 0; offset < end; offset++) {
        const place = { partition, offset };
        const isDue = offset >= dropped && !this.#far.has(nameOf(place));
        if (isDue) expect(this.#isHandled(place), `${nameOf(place)} is not handled`).toBe(false);
        if (offset >= dropped && !this.#isHandled(place)) open += 1;
      }
    }
    expect(consumer.backlog()).toBe(open);
  }

  /** All that is left, on links that hold. */
  async finish(): Promise<void> {
    this.#begin();
    for (let round = 0; this.#open.consumer.backlog() > 0; round++) {
      expect(round, 'something never comes').toBeLessThan(200);
      for (const side of this.#sides) {
        await this.#read(side, 50, 12);
        this.#acknowledge(side);
      }
      this.#check();
    }
    for (const [partition, end] of this.#end.entries()) {
      for (let offset = this.#dropped[partition] ?? 0; offset < end; offset++) {
        expect(this.#delivered.has(nameOf({ partition, offset }))).toBe(true);
      }
    }
  }
}

it.each(SEEDS)('each record is given until the far side has it: seed %i', async (seed) => {
  const bench = new Bench(seed);
  await bench.start();
  for (let i = 0; i < STEPS; i++) await bench.step();
  await bench.finish();
  await bench.stop();
  expect(bench.deliveries).toBeGreaterThan(50);
  expect(bench.historical).toBeGreaterThan(0);
  expect(bench.droppedCount).toBeGreaterThan(0);
});
