import { beforeEach, describe, expect, it } from 'vitest';
import { CloudRefusal } from '../../../src/uplink/cloud-link.ts';
import { settle } from './fakes.ts';
import { batchShape, type Publish, publishing, rawShape, ScriptedFar } from './publishing.ts';

const FIRST = 'gw/a1b2/fresh/0/0';
const isFirst = ({ identities }: Publish) => identities[0] === FIRST;

let far = new ScriptedFar();
beforeEach(() => {
  far = new ScriptedFar();
});

/** Dead letters become durable when they are told to. */
function slowParking() {
  const letters: Array<() => void> = [];
  const beforePark = () => new Promise<void>((resolve) => letters.push(resolve));
  return { letters, beforePark };
}

describe('while a record is made a dead letter', () => {
  it('its lane sends nothing, not even on the next link', async () => {
    const { letters, beforePark } = slowParking();
    const made = publishing(far, { beforePark });
    made.sources.fresh.append(3);
    // It ends each link on which it is sent.
    while (letters.length === 0) {
      const link = far.link();
      const { over } = await made.serve(link);
      if (!link.pending.some(isFirst)) await link.ackAll();
      await over();
    }
    far.publishes.length = 0;
    const link = far.link();
    const { over } = await made.serve(link);
    expect(far.publishes).toEqual([]);
    letters[0]?.();
    await settle(10);
    await link.ackAll();
    expect(letters).toHaveLength(1);
    expect([...made.sources.fresh.parked]).toEqual([FIRST]);
    expect(made.sources.fresh.backlog()).toBe(0);
    await over();
  });

  it.each([
    ['raw', rawShape],
    ['batch', batchShape],
  ] as const)('one that is too large is not sent again on the next link, %s', async (_, shape) => {
    const { letters, beforePark } = slowParking();
    const made = publishing(far, { beforePark, shape });
    made.sources.fresh.append(4);
    const first = far.link();
    const { over } = await made.serve(first);
    const tooLarge = new CloudRefusal('too-large', 'the cloud takes less');
    while (letters.length === 0) {
      first.pending.find(isFirst)?.refuse(tooLarge);
      await settle();
    }
    await over();
    far.publishes.length = 0;
    const next = far.link();
    const again = await made.serve(next);
    expect(far.publishes).toEqual([]);
    letters[0]?.();
    await settle(10);
    while (next.pending.length > 0) await next.ackAll();
    expect(far.publishes.flatMap(({ identities }) => identities)).toEqual(
      made.sources.fresh.identities().slice(1),
    );
    expect([letters.length, [...made.sources.fresh.parked]]).toEqual([1, [FIRST]]);
    expect(made.sources.fresh.backlog()).toBe(0);
    await again.over();
  });

  it('it is not looked at any more', async () => {
    const { letters, beforePark } = slowParking();
    const made = publishing(far, { beforePark });
    made.sources.fresh.append(3);
    const first = far.link();
    const { over } = await made.serve(first);
    first.pending[0]?.refuse(new CloudRefusal('never', 'not authorised'));
    await settle();
    for (const { ack } of first.pending.slice(0, -1)) ack();
    await settle();
    // Alone now, and too large besides.
    first.pending[0]?.refuse(new CloudRefusal('too-large', 'the cloud takes less'));
    await settle();
    expect(letters).toHaveLength(1);
    await over();
    far.publishes.length = 0;
    const next = far.link();
    const again = await made.serve(next);
    letters[0]?.();
    await settle(10);
    while (next.pending.length > 0) await next.ackAll();
    expect(far.publishes.filter(isFirst)).toEqual([]);
    expect(made.sources.fresh.backlog()).toBe(0);
    expect(letters).toHaveLength(1);
    await again.over();
  });

  it('the others of its lane go on, while the link is up', async () => {
    const { letters, beforePark } = slowParking();
    const made = publishing(far, { beforePark });
    made.sources.fresh.append(30);
    const link = far.link();
    const { over } = await made.serve(link);
    link.pending[3]?.refuse(new CloudRefusal('too-large', 'the cloud takes less'));
    await settle();
    expect(letters).toHaveLength(1);
    await link.ackAll();
    expect(link.pending.length).toBeGreaterThan(0);
    letters[0]?.();
    await settle();
    while (link.pending.length > 0) await link.ackAll();
    expect(far.publishes.map(({ identities }) => identities[0])).toEqual(
      made.sources.fresh.identities(),
    );
    expect(made.counters.forwarded).toBe(29);
    await over();
  });
});
