import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CloudRefusal } from '../../../src/uplink/cloud-link.ts';
import type { Load, Shape } from '../../../src/uplink/shape.ts';
import { settle } from './fakes.ts';
import {
  batchShape,
  type Publish,
  publishing,
  rawShape,
  ScriptedFar,
  type ScriptedLink,
} from './publishing.ts';

let far = new ScriptedFar();
beforeEach(() => {
  far = new ScriptedFar();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the pace of the backlog', () => {
  /** Time goes on by the clock and the timers alike; each publish takes half a millisecond. */
  function paced(isBusy: () => boolean) {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const made = publishing(far, { window: 1000, isBusy });
    far.onPublish = () => made.clock.advance(0.5);
    const pass = async (ms: number) => {
      made.clock.advance(ms);
      vi.advanceTimersByTime(ms);
      await settle();
      return far.publishes.length;
    };
    return { ...made, pass };
  }

  it('a millisecond of work, and twenty-four of rest, while readings come in', async () => {
    const { sources, serve, pass } = paced(() => true);
    sources.backlog.append(200);
    const { over } = await serve(far.link());
    expect(far.publishes).toHaveLength(2);
    expect(await pass(23.5)).toBe(2);
    expect(await pass(0.5)).toBe(4);
    // The rest goes by the clock, so a timer that comes late changes nothing.
    expect(await pass(1000)).toBe(6);
    expect(await pass(24)).toBe(8);
    await over();
  });

  it('one that takes long rests for as many times as long', async () => {
    const { sources, serve, pass, clock } = paced(() => true);
    sources.backlog.append(200);
    far.onPublish = () => clock.advance(10);
    const { over } = await serve(far.link());
    expect(far.publishes).toHaveLength(1);
    expect(await pass(239)).toBe(1);
    expect(await pass(1)).toBe(2);
    await over();
  });

  it('fresh ones and alerts go on meanwhile', async () => {
    const { sources, serve, pass } = paced(() => true);
    sources.backlog.append(200);
    const { over } = await serve(far.link());
    sources.fresh.append(30);
    sources.alerts.append(30);
    await settle();
    expect(far.streams.filter((one) => one !== 'backlog')).toHaveLength(60);
    // They took longer than the rest did, and are not held against the backlog.
    expect(far.streams.filter((one) => one === 'backlog')).toHaveLength(4);
    const before = far.publishes.length;
    expect(await pass(24)).toBe(before + 2);
    await over();
  });

  it('there is none while no readings come in', async () => {
    const { sources, serve } = paced(() => false);
    sources.backlog.append(100);
    const { over } = await serve(far.link());
    expect(far.publishes).toHaveLength(100);
    await over();
  });

  it('it ends with the readings, after the rest that is under way', async () => {
    let isBusy = true;
    const { sources, serve, pass } = paced(() => isBusy);
    sources.backlog.append(100);
    const { over } = await serve(far.link());
    isBusy = false;
    expect(await pass(23)).toBe(2);
    expect(await pass(1)).toBe(100);
    await over();
  });
});

/** Packs when it is told to. */
class GatedShape implements Shape {
  readonly lingerMs = 0;
  readonly loads: Array<{ readonly load: Load; readonly open: () => void }> = [];
  readonly #shape: Shape;

  constructor(shape: Shape) {
    this.#shape = shape;
  }

  cut: Shape['cut'] = (...given) => this.#shape.cut(...given);
  isFull: Shape['isFull'] = (...given) => this.#shape.isFull(...given);
  guessBytes: Shape['guessBytes'] = (...given) => this.#shape.guessBytes(...given);

  async pack(load: Load) {
    await new Promise<void>((open) => this.loads.push({ load, open }));
    return this.#shape.pack(load);
  }
}

describe('a batch that is being packed', () => {
  it('when the link ends is sent on the next one, and never taken as acknowledged', async () => {
    const shape = new GatedShape(batchShape(300));
    const { sources, serve, counters } = publishing(far, { shape: () => shape });
    sources.fresh.append(12);
    const first = await serve(far.link());
    expect(shape.loads).toHaveLength(2);
    const ended = first.over();
    await settle();
    for (const { open } of shape.loads.splice(0)) open();
    expect(await ended).toBe('cut off');
    expect(far.publishes).toEqual([]);
    expect([sources.fresh.handledCount, counters.forwarded]).toEqual([0, 0]);
    const link = far.link();
    const second = await serve(link);
    while (sources.fresh.backlog() > 0) {
      for (const { open } of shape.loads.splice(0)) open();
      await settle();
      await link.ackAll();
    }
    expect(far.publishes.flatMap(({ identities }) => identities)).toEqual(
      sources.fresh.identities(),
    );
    expect(counters.forwarded).toBe(12);
    await second.over();
  });

  it('goes out behind those before it, however soon it is packed', async () => {
    const shape = new GatedShape(batchShape(300));
    const { sources, serve } = publishing(far, { shape: () => shape });
    sources.fresh.append(8);
    const { over } = await serve(far.link());
    const [one, other] = shape.loads;
    other?.open();
    await settle();
    expect(far.publishes).toEqual([]);
    one?.open();
    await settle();
    expect(far.publishes.flatMap(({ identities }) => identities)).toEqual(
      sources.fresh.identities().slice(0, (far.publishes[0]?.identities.length ?? 0) * 2),
    );
    for (const { open } of shape.loads) open();
    await over();
  });

  it('when one before it is refused is cut anew, and not sent twice', async () => {
    const shape = new GatedShape(batchShape(300));
    const { sources, serve } = publishing(far, { shape: () => shape });
    sources.fresh.append(8);
    const link = far.link();
    const { over } = await serve(link);
    shape.loads.shift()?.open();
    await settle();
    link.pending[0]?.refuse(new CloudRefusal('later', 'busy'));
    await settle();
    far.publishes.length = 0;
    while (sources.fresh.backlog() > 0) {
      for (const { open } of shape.loads.splice(0)) open();
      await settle();
      await link.ackAll();
    }
    expect(far.publishes.flatMap(({ identities }) => identities)).toEqual(
      sources.fresh.identities(),
    );
    await over();
  });

  it('that cannot be packed ends the link, and is tried on the next one', async () => {
    const shape = batchShape();
    vi.spyOn(shape, 'pack').mockRejectedValueOnce(new Error('no memory'));
    const { sources, serve, warnings } = publishing(far, { shape: () => shape });
    sources.fresh.append(5);
    const { publisher, over } = await serve(far.link());
    expect(await publisher.stopped).toBe('no memory');
    await over();
    expect([far.publishes, warnings]).toEqual([[], []]);
    const link = far.link();
    const again = await serve(link);
    await link.ackAll();
    expect(sources.fresh.backlog()).toBe(0);
    await again.over();
  });
});

/** Answers all that comes, until nothing more does. */
async function answer(link: ScriptedLink, refusalOf: (publish: Publish) => Error | undefined) {
  for (let i = 0; i < 200 && link.pending.length > 0; i++) {
    for (const publish of [...link.pending]) {
      const refusal = refusalOf(publish);
      if (refusal === undefined) publish.ack();
      else publish.refuse(refusal);
    }
    await settle(10);
  }
}

const BAD = 'gw/a1b2/fresh/0/21';
const holds = ({ identities }: Publish) => identities.includes(BAD);

describe.each([
  ['batch', () => batchShape(1000)],
  ['raw', rawShape],
] as const)('a record that the cloud does not take, %s', (_, shape) => {
  const expectOnlyBadParked = (
    { sources, counters }: ReturnType<typeof publishing>,
    link: ScriptedLink,
  ) => {
    expect([...sources.fresh.parked]).toEqual([BAD]);
    expect([sources.fresh.backlog(), sources.backlog.backlog()]).toEqual([0, 0]);
    const all = [...sources.fresh.identities(), ...sources.backlog.identities()];
    expect(all.filter((one) => !far.acked.has(one))).toEqual([BAD]);
    expect(counters.forwarded).toBe(all.length - 1);
    expect(link.pending).toEqual([]);
  };

  it('for its size is found by halves, and parked', async () => {
    const made = publishing(far, { shape });
    made.sources.fresh.append(50);
    made.sources.backlog.append(50);
    const link = far.link();
    const { over } = await made.serve(link);
    const tooLarge = new CloudRefusal('too-large', 'the cloud takes less');
    await answer(link, (publish) => (holds(publish) ? tooLarge : undefined));
    const refused = far.publishes.filter(holds).map(({ identities }) => identities.length);
    expect(refused.at(-1)).toBe(1);
    for (const [i, count] of refused.slice(1).entries()) {
      expect(count).toBeLessThanOrEqual(Math.max(1, (refused[i] ?? 0) / 2));
    }
    expectOnlyBadParked(made, link);
    await over();
  });

  it('for good is found by a probe, and parked; the others go on', async () => {
    const made = publishing(far, { shape });
    made.sources.fresh.append(50);
    made.sources.backlog.append(50);
    const link = far.link();
    const { over } = await made.serve(link);
    const never = new CloudRefusal('never', 'not authorised');
    await answer(link, (publish) => (holds(publish) ? never : undefined));
    expect(made.warnings[0]).toBe('not authorised');
    expectOnlyBadParked(made, link);
    // It was heard alone, and so was another one, before it was called the cause.
    const alone = far.publishes.filter(({ identities }) => identities.length === 1).map(holds);
    expect(alone).toContain(false);
    // Twice: what the cloud says for good is enough, once it has taken another one.
    expect(alone.filter((isBad) => isBad)).toHaveLength(shape === rawShape ? 3 : 2);
    await over();
  });

  it('for a while comes again, with its row, and is not parked', async () => {
    const made = publishing(far, { shape });
    made.sources.fresh.append(50);
    const link = far.link();
    const { over } = await made.serve(link);
    let times = 0;
    await answer(link, (publish) => {
      if (!holds(publish) || times >= 3) return undefined;
      times += 1;
      return new CloudRefusal('later', 'quota exceeded');
    });
    expect(times).toBe(3);
    expect(made.warnings).toEqual(Array(3).fill('quota exceeded'));
    expect([...made.sources.fresh.parked]).toEqual([]);
    expect(far.acked).toEqual(new Set(made.sources.fresh.identities()));
    expect(made.counters.forwarded).toBe(50);
    await over();
  });
});
