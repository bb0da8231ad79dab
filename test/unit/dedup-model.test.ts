import fc from 'fast-check';
import { expect, it } from 'vitest';
import { seededRandom } from '../../src/base/clock.ts';
import type { MessageId, Reading } from '../../src/base/reading.ts';
import { DedupLife } from '../support/dedup-life.ts';

// Sends, repeats, reorders, crashes, restarts and clock jumps in any order.

const SMALL_LOG = { retention: { maxBytes: 4 * 32 * 1024, maxAgeMs: 0 } };

type Action =
  | { readonly do: 'send'; readonly device: number; readonly skip: number; readonly size: number }
  | { readonly do: 'late'; readonly pick: number }
  | { readonly do: 'repeat'; readonly pick: number; readonly times: number }
  | { readonly do: 'both'; readonly device: number }
  | { readonly do: 'jump'; readonly ms: number }
  | { readonly do: 'restart' }
  | { readonly do: 'kill' }
  | { readonly do: 'cut'; readonly seed: number };

const device = fc.nat({ max: 5 });
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('send'),
      device,
      skip: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat({ max: 3 })),
      size: fc.nat({ max: 3_000 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('late'), pick: fc.nat() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('repeat'),
      pick: fc.nat(),
      times: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('both'), device }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('jump'),
      ms: fc.constantFrom(315_360_000_000, -86_400_000, 60_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('restart', 'kill') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut'), seed: fc.nat() }) },
) as fc.Arbitrary<Action>;

function partitionOf({ device }: Pick<Reading, 'device'>): 0 | 1 {
  return Number(device.slice(1)) % 2 === 0 ? 0 : 1;
}

/** Devices with ids, and with boots and numbers; what was acknowledged is to be known for good. */
class World {
  readonly life = new DedupLife({ ...SMALL_LOG, maxDevices: 4 });
  readonly #sent: Array<Omit<Reading, 'monoMs'>> = [];
  /** By name of device and id. */
  readonly #acked = new Set<string>();
  /** By partition: what was said to be stored, in that order. */
  readonly #order: [string[], string[]] = [[], []];
  /** Times that one was said to be stored. */
  readonly #stored = new Map<string, number>();
  readonly #next = [0, 0, 0, 0, 0, 0];
  /** Numbers left out so far. */
  readonly #skipped: Array<readonly [device: number, number: number]> = [];

  #make(device: number, number: number, size: number): Omit<Reading, 'monoMs'> {
    const name = `d${device}`;
    const boot = `b${Math.floor(number / 150)}`;
    const text = device % 2 === 0 ? `${number}` : `${boot}:${number}`;
    const messageId: MessageId =
      device % 2 === 0 ? { kind: 'id', text } : { kind: 'sequence', text, boot, sequence: number };
    const payload = Buffer.from('x'.repeat(size));
    return { device: name, topic: `sensors/${name}/t`, payload, messageId };
  }

  async #send(one: Omit<Reading, 'monoMs'>): Promise<void> {
    const key = `${one.device} ${one.messageId?.text}`;
    const wasAcked = this.#acked.has(key);
    const reading = { ...one, monoMs: this.life.clock.monoMs() };
    const partition = partitionOf(one);
    const outcome = await this.life.send(reading, partition);
    if (wasAcked) expect(outcome, `${key} was acknowledged before`).toBe('repeat');
    if (typeof outcome !== 'string') return;
    this.#acked.add(key);
    if (outcome !== 'stored') return;
    this.#stored.set(key, (this.#stored.get(key) ?? 0) + 1);
    this.#order[partition].push(key);
  }

  #new(device: number, skip: number, size: number): Omit<Reading, 'monoMs'> {
    const from = this.#next[device] ?? 0;
    for (let n = from; n < from + skip; n++) this.#skipped.push([device, n]);
    this.#next[device] = from + skip + 1;
    const one = this.#make(device, from + skip, size);
    this.#sent.push(one);
    return one;
  }

  async #step(action: Action): Promise<void> {
    this.life.clock.advance(10);
    if (action.do === 'send') await this.#send(this.#new(action.device, action.skip, action.size));
    else if (action.do === 'late') {
      const [late] = this.#skipped.splice(action.pick % Math.max(1, this.#skipped.length), 1);
      if (late === undefined) return;
      const one = this.#make(late[0], late[1], 10);
      this.#sent.push(one);
      await this.#send(one);
    } else if (action.do === 'repeat') {
      const one = this.#sent[action.pick % Math.max(1, this.#sent.length)];
      if (one === undefined) return;
      await Promise.all(Array.from({ length: action.times }, () => this.#send(one)));
    } else if (action.do === 'both') {
      const one = this.#new(action.device, 0, 100);
      await Promise.all([this.#send(one), this.#send(one)]);
    } else if (action.do === 'jump') this.life.clock.wall += action.ms;
    else if (action.do === 'restart') await this.life.restart();
    else if (action.do === 'kill') await this.#killUnderLoad(() => this.life.kill());
    else if (action.do === 'cut')
      await this.#killUnderLoad(() => this.life.powerCut(seededRandom(action.seed)));
  }

  /** Some are on their way when it happens: nobody is told of those. */
  async #killUnderLoad(end: () => Promise<void>): Promise<void> {
    const onTheirWay = [0, 1, 2].map((device) => this.#new(device, 0, 200));
    for (const one of onTheirWay) {
      const reading = { ...one, monoMs: this.life.clock.monoMs() };
      void this.life.send(reading, partitionOf(one));
    }
    await end();
  }

  async run(actions: readonly Action[]): Promise<void> {
    await this.life.start();
    for (const action of actions) await this.#step(action);
    // Every device sends all it ever sent once more, as after a week away.
    await this.life.restart();
    for (const one of this.#sent) await this.#send(one);
    const ids = await this.life.ids();
    expect(new Set(ids).size, 'no id stands in the log twice').toBe(ids.length);
    for (const [key, times] of this.#stored) expect(times, key).toBe(1);
    // Retention drops the oldest; of what was acknowledged since, everything is there.
    for (const order of this.#order) {
      const first = order.findIndex((key) => ids.includes(key));
      const since = first < 0 ? [] : order.slice(first);
      expect(since.filter((key) => !ids.includes(key))).toEqual([]);
      expect(order.length === 0 || since.length > 0, 'the newest are kept').toBe(true);
    }
    const { ids: inMemory, devices } = this.life.keeper.dedup.size();
    expect(inMemory).toBeLessThanOrEqual(60);
    expect(devices).toBeLessThanOrEqual(4);
    await this.life.stop();
  }
}

const SEED = Number(process.env['SEED'] ?? 20_261_125);
const RUNS = Number(process.env['RUNS'] ?? 40);

it(`each id is in the log once, and what was acknowledged is known (seed ${SEED})`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 20, maxLength: 250 }), async (actions) => {
      await new World().run(actions);
    }),
    { numRuns: RUNS, seed: SEED },
  );
}, 300_000);
