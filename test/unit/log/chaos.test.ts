import { describe, expect, it } from 'vitest';
import { type Random, seededRandom } from '../../../src/base/clock.ts';
import type { Journal } from '../../../src/log/journal.ts';
import { verifyStore } from '../../../src/log/verify.ts';
import { FakeFiles, type Life, NO_POWER, type Operation } from '../../support/fake-files.ts';
import {
  append,
  FOLDER,
  noiseOf,
  openTestJournal,
  readAll,
  reading,
  textOf,
} from '../../support/journals.ts';

/**
 * A journal on a bad day: kills, power cuts and failing writes at random, again and again. Whatever
 * was acknowledged, and whatever a start has found (a repeat of it would be acknowledged at once),
 * is there for good.
 */
class BadDay {
  readonly files = new FakeFiles();
  readonly #random: Random;
  /** What may never be missed, by place. */
  readonly #durable = new Map<string, string>();
  readonly #sent = new Set<string>();
  #life: Life | undefined;
  #journal: Journal | undefined;
  #numbered = 0;
  starts = 0;
  cuts = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  get acked(): number {
    return this.#durable.size;
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  /** Faults that pass: the next few writes or syncs fail. */
  breakForAWhile(): void {
    let left = 1 + Math.floor(this.#random() * 4);
    const wanted: Operation[] = [this.#chance(0.7) ? 'sync' : 'write'];
    for (const more of ['syncFolder', 'truncate'] as const)
      if (this.#chance(0.5)) wanted.push(more);
    this.files.fault = (operation) =>
      wanted.includes(operation) && left-- > 0 ? 'EIO' : undefined;
  }

  async start(): Promise<void> {
    this.#life = this.files.live();
    try {
      this.#journal = await openTestJournal(this.#life.files, {
        segmentBytes: 32 * 1024,
        compression: 'auto',
        packing: true,
      });
    } catch {
      // A start that fails is tried again, as systemd would.
      this.#journal = undefined;
      return;
    }
    this.starts += 1;
    await this.check(this.#journal);
  }

  async append(): Promise<void> {
    const journal = this.#journal;
    if (journal === undefined) return;
    const count = 1 + Math.floor(this.#random() * 4);
    const burst = Array.from({ length: count }, async () => {
      const partition = this.#chance(0.5) ? 0 : 1;
      const size = Math.floor(this.#random() * 6_000);
      const filler = this.#chance(0.5) ? 'x'.repeat(size) : noiseOf(this.#random, size);
      const text = `${this.#numbered++} ${filler}`;
      this.#sent.add(text);
      const offset = await append(journal, partition, reading('d', text));
      this.#durable.set(`${partition}:${offset}`, text);
    });
    const settled = Promise.allSettled(burst);
    // Now and then nobody waits for the end: the kill comes in the middle.
    if (this.#chance(0.8)) await settled;
    else for (let i = Math.floor(this.#random() * 12); i > 0; i--) await Promise.resolve();
  }

  kill(): void {
    this.#life?.kill();
    this.#journal?.close().catch(() => {});
    this.#journal = undefined;
  }

  cutPower(): void {
    this.files.fault = () => NO_POWER;
    this.kill();
    const share = [0, 1, this.#random()][Math.floor(this.#random() * 3)] ?? 0;
    const names = [0, 1, 0.5][Math.floor(this.#random() * 3)] ?? 0;
    const keepsNames = () => this.#chance(names);
    this.files.powerCut(() => this.#chance(share), { keepsNames });
    this.files.fault = () => undefined;
    this.cuts += 1;
  }

  async check(journal: Journal): Promise<void> {
    this.files.fault = () => undefined;
    const records = await readAll(this.files, journal);
    const found = new Map(records.map((r) => [`${r.partition}:${r.offset}`, textOf(r)]));
    expect(found.size, 'an offset twice').toBe(records.length);
    for (const text of found.values()) expect(this.#sent).toContain(text);
    for (const [place, text] of this.#durable) {
      expect(found.get(place)?.slice(0, 8), place).toBe(text.slice(0, 8));
    }
    for (const partition of [0, 1]) {
      const offsets = records.filter((r) => r.partition === partition).map((r) => r.offset);
      expect(offsets).toEqual(offsets.map((_, i) => i));
    }
    for (const [place, text] of found) this.#durable.set(place, text);
  }

  async step(): Promise<void> {
    const dice = this.#random();
    if (this.#journal === undefined) {
      if (this.#chance(0.3)) this.breakForAWhile();
      await this.start();
    } else if (dice < 0.6) await this.append();
    else if (dice < 0.75) this.breakForAWhile();
    else if (dice < 0.85) this.kill();
    else this.cutPower();
  }

  async end(): Promise<void> {
    this.cutPower();
    await this.start();
    const verified = await verifyStore(this.files, FOLDER);
    expect(verified).toMatchObject({ corruptBlocks: 0, lostOffsets: 0 });
    this.kill();
  }
}

const SEEDS = Array.from({ length: 40 }, (_, i) => Number(process.env['SEED'] ?? 1) + i);

describe('a journal on a bad day', () => {
  it.each(SEEDS)('loses nothing that was acknowledged, seed %i', async (seed) => {
    const day = new BadDay(seed);
    for (let i = 0; i < 60; i++) await day.step();
    await day.end();
    expect(day.starts).toBeGreaterThan(1);
    expect(day.acked).toBeGreaterThan(0);
  });
});
