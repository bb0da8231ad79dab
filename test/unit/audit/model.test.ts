import fc from 'fast-check';
import { expect, it } from 'vitest';
import { owed } from '../../../src/audit/counts.ts';
import type { AuditReport } from '../../../src/audit/report.ts';
import { AuditedGateway } from '../../support/audited-gateway.ts';

// Whatever happens in whatever order, the books balance, and they agree with who looked on.

const SEED = Number(process.env['SEED'] ?? 20261125);
const MINUTE_MS = 60_000;

const ack = fc.record({ do: fc.constant('ack' as const), mask: fc.integer({ min: 0, max: 255 }) });
const step = (name: 'retain' | 'save' | 'close' | 'kill' | 'restart' | 'toggle' | 'size') =>
  fc.constant({ do: name } as const);
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      count: fc.integer({ min: 1, max: 6 }),
      agoMs: fc.integer({ min: -MINUTE_MS, max: 10 * MINUTE_MS }),
      kind: fc.constantFrom('new', 'repeat', 'junk', 'large'),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      count: fc.integer({ max: 8, min: 1 }),
    }),
  },
  { weight: 4, arbitrary: ack },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('refuse' as const),
      kind: fc.constantFrom('later', 'too-large', 'never'),
      mask: fc.integer({ min: 0, max: 255 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('break' as const),
      order: fc.constantFrom('fresh', 'fresh', 'strict'),
    }),
  },
  { weight: 2, arbitrary: step('retain') },
  { weight: 3, arbitrary: step('save') },
  { weight: 2, arbitrary: step('close') },
  { weight: 1, arbitrary: step('kill') },
  { weight: 1, arbitrary: step('restart') },
  { weight: 1, arbitrary: step('toggle') },
  { weight: 1, arbitrary: step('size') },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('cut' as const),
      writes: fc.integer({ min: 0, max: 4 }),
    }),
  },
);

type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

/** What came about, over all runs: the seeds are to reach all of it. */
const seen = new Set<string>();

class Bench {
  readonly gateway = new AuditedGateway();
  #uplink = true;
  #bucketMs = MINUTE_MS;
  #numbered = 0;
  readonly #ids: Array<{ id: string; timeMs: number }> = [];
  /** As the pipeline counted them in earlier lives, and in this one when it was last saved. */
  #repeatsBefore = 0;
  #repeatsSaved = 0;
  #hadPowerCut = false;

  start(): Promise<void> {
    // Segments of 32 KiB, and a large reading fills a third of one.
    const bucketMs = this.#bucketMs;
    const size = { bucketMs, maxBytes: 96 * 1024 };
    // So few that both lanes have something.
    return this.gateway.start({ uplink: this.#uplink, ...size, newest: 4 });
  }

  async run(one: Action): Promise<void> {
    const { gateway } = this;
    if (one.do === 'publish') await this.#publish(one);
    else if (one.do === 'send') await gateway.send(one.count);
    else if (one.do === 'ack') gateway.ack((i) => ((one.mask >> (i % 8)) & 1) === 1);
    else if (one.do === 'refuse') {
      await gateway.refuse(one.kind, (i) => ((one.mask >> (i % 8)) & 1) === 1);
    } else if (one.do === 'break') gateway.breakLink(one.order);
    else if (one.do === 'retain') await gateway.parts.telemetry.retain();
    else if (one.do === 'save') await this.#save();
    else if (one.do === 'close') {
      await gateway.close();
      if (gateway.parts.keeper.status().closedBuckets > 0) seen.add('closed');
    } else await this.#restart(one);
    await this.#check();
  }

  async #restart(one: Action): Promise<void> {
    const { gateway } = this;
    if (one.do === 'kill' || one.do === 'cut') {
      // In the middle of a commit, and before anything is saved of the one before it.
      await this.#send('junk', 0);
      const doubtful = this.#send('new', 0);
      await new Promise(setImmediate);
      if (one.do === 'cut') await gateway.cutPower(one.writes);
      else await gateway.kill();
      await doubtful;
      if (one.do === 'cut') this.#hadPowerCut = true;
    } else {
      this.#noteSaved();
      await gateway.stop();
      if (one.do === 'toggle') this.#uplink = !this.#uplink;
      if (one.do === 'size') this.#bucketMs = this.#bucketMs === MINUTE_MS ? 90_000 : MINUTE_MS;
    }
    seen.add(one.do);
    this.#repeatsBefore += this.#repeatsSaved;
    this.#repeatsSaved = 0;
    await this.start();
  }

  /** What is being saved just now is in the books for good. */
  #noteSaved(): void {
    this.#repeatsSaved = this.gateway.parts.counters.duplicates;
  }

  async #save(): Promise<void> {
    this.#noteSaved();
    await this.gateway.parts.checkpoints.save();
  }

  async #publish({ count, agoMs, kind }: Action & { do: 'publish' }): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.#send(kind, agoMs)));
    // Retention that runs by itself saves too, and then what was counted before is safe.
    await this.gateway.parts.telemetry.retain();
    await this.gateway.parts.events.retain();
    await this.#save();
    this.gateway.clock.advance(1_000);
  }

  async #send(kind: string, agoMs: number): Promise<void> {
    const { gateway } = this;
    if (kind === 'junk') {
      await gateway.publish('d0', '{');
      return;
    }
    const last = this.#ids.at(-1);
    if (kind === 'repeat' && last !== undefined) {
      const { id, timeMs: ts } = last;
      await gateway.publish('d0', JSON.stringify({ id, ts }));
      return;
    }
    const id = `r-${++this.#numbered}`;
    const ts = gateway.clock.wall - agoMs;
    const pad = kind === 'large' ? 'x'.repeat(9_000) : '';
    const device = kind === 'large' ? 'd1' : 'd0';
    const isAcked = await gateway.publish(device, JSON.stringify({ id, ts, pad }));
    if (isAcked && kind !== 'large') this.#ids.push({ id, timeMs: ts });
  }

  async #check(): Promise<AuditReport> {
    const report = await this.gateway.report();
    expect(report.unbalanced, JSON.stringify(report.buckets)).toEqual([]);
    for (const [stream, sums] of Object.entries(report.totals)) {
      const least = Math.min(...Object.values(sums));
      expect(least, `${stream}: ${JSON.stringify(sums)}`).toBeGreaterThanOrEqual(0);
    }
    return report;
  }

  /** The cloud gets what there is, everything is closed, and the sums are those of the others. */
  async end(): Promise<void> {
    const { gateway } = this;
    if (!this.#uplink) {
      await this.run({ do: 'toggle' });
    }
    await gateway.drain();
    for (let i = 0; i < 3; i++) {
      await gateway.close();
      await gateway.drain();
    }
    const { buckets, totals } = await this.#check();
    expect(buckets.filter(({ state }) => state === 'open')).toEqual([]);
    expect(gateway.parts.keeper.status().openBuckets).toBe(0);
    const sums = totals['readings'];
    if (sums === undefined) return;
    expect(owed(sums)).toBe(0);
    if (gateway.sentBehind > 0) seen.add('behind');
    if (sums.parked > 0) seen.add('parked');
    if (sums.expired > 0) seen.add('expired');
    if (sums.opening > 0) seen.add('opening');
    if (sums.notForwarded > 0) seen.add('notForwarded');
    if (this.#hadPowerCut) return;
    const acked = [...gateway.acked].filter((key) => key.startsWith('readings/')).length;
    const published = [...gateway.sent.entries()].filter(([key]) => key.startsWith('readings/'));
    // What the cloud acknowledged out of turn, or as the link broke, is sent again. What was
    // dropped meanwhile stays expired, and what was dropped without an uplink is owed to nobody.
    // It may also be refused the second time.
    expect(sums.cloudAcked).toBeLessThanOrEqual(acked);
    expect(acked - sums.cloudAcked).toBeLessThanOrEqual(
      sums.expired + sums.notForwarded + sums.parked,
    );
    expect(sums.forwarded).toBeLessThanOrEqual(published.reduce((sum, [, n]) => sum + n, 0));
    this.#noteSaved();
    expect(sums.duplicates).toBe(this.#repeatsBefore + this.#repeatsSaved);
    const next = gateway.parts.telemetry.nextOffsets('readings').reduce((sum, n) => sum + n, 0);
    expect(sums.stored).toBe(next);
    const [letters] = gateway.parts.events.nextOffsets('dead-letter');
    expect(sums.deadLettered + gateway.parkedLetters).toBe(letters);
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
  }
}

it(`balances, seed ${SEED}`, async () => {
  const check = async (steps: readonly Action[]) => {
    const bench = new Bench();
    await bench.start();
    for (const one of steps) await bench.run(one);
    await bench.end();
    await bench.stop();
  };
  const numRuns = Number(process.env['RUNS'] ?? 60);
  const actions = fc.array(action, { minLength: 5, maxLength: 40 });
  await fc.assert(fc.asyncProperty(actions, check), { seed: SEED, numRuns });
  expect([...seen].sort()).toEqual(
    [
      'behind',
      'closed',
      'cut',
      'expired',
      'kill',
      'notForwarded',
      'opening',
      'parked',
      'restart',
      'size',
      'toggle',
    ].sort(),
  );
}, 300_000);
