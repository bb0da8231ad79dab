import { beforeEach, describe, expect, it, test, vi } from 'vitest';
import { CloudRefusal } from '../../../src/uplink/cloud-link.ts';
import { settle } from './fakes.ts';
import { batchShape, publishing, ScriptedFar } from './publishing.ts';

// Where the size of a batch was guessed wrong it becomes several publishes.

let far = new ScriptedFar();
beforeEach(() => {
  far = new ScriptedFar();
  far.sizeOf = ({ payload }) => 10 * payload.length;
});

describe('a batch that becomes several publishes', () => {
  test.each([1, 2, 3, 8])('keeps to a link that takes %i at a time', async (receiveMaximum) => {
    const { sources, serve, counters } = publishing(far, { shape: batchShape, window: 100 });
    sources.fresh.append(300);
    sources.backlog.append(100);
    const link = far.link({ receiveMaximum, maximumSizeBytes: 4000 });
    const { over } = await serve(link);
    expect(link.mostPending).toBeGreaterThan(0);
    while (link.pending.length > 0) {
      link.pending[0]?.ack();
      await settle();
    }
    expect(link.mostPending).toBeLessThanOrEqual(receiveMaximum);
    expect(counters.forwarded).toBe(400);
    // In the order of their offsets, since nothing was refused.
    for (const source of [sources.fresh, sources.backlog]) {
      const sent = far.publishes.filter(({ stream }) => stream === source.stream);
      expect(sent.flatMap(({ identities }) => identities)).toEqual(source.identities());
      expect(Math.max(...sent.map(({ bytes }) => bytes))).toBeLessThanOrEqual(4000);
    }
    await over();
  });

  it('is acknowledged with its last one, and not before', async () => {
    const { sources, serve } = publishing(far, { shape: batchShape });
    sources.fresh.append(60);
    const link = far.link({ receiveMaximum: 1, maximumSizeBytes: 4000 });
    const first = await serve(link);
    link.pending[0]?.ack();
    await settle();
    expect(link.pending).toHaveLength(1);
    expect(sources.fresh.handledCount).toBe(0);
    await first.over();
    far.publishes.length = 0;
    const next = far.link({ maximumSizeBytes: 4000 });
    const second = await serve(next);
    while (next.pending.length > 0) await next.ackAll();
    expect(far.publishes.flatMap(({ identities }) => identities)).toEqual(
      sources.fresh.identities(),
    );
    await second.over();
  });

  it('is sent no further once a part of it is refused', async () => {
    const { sources, serve } = publishing(far, { shape: batchShape });
    sources.fresh.append(60);
    const link = far.link({ receiveMaximum: 1, maximumSizeBytes: 4000 });
    const { over } = await serve(link);
    expect(link.pending[0]?.identities.length).toBeLessThan(50);
    far.publishes.length = 0;
    link.pending[0]?.refuse(new CloudRefusal('later', 'busy'));
    await settle(10);
    while (link.pending.length > 0) await link.ackAll();
    expect(far.publishes.flatMap(({ identities }) => identities)).toEqual(
      sources.fresh.identities(),
    );
    expect(sources.fresh.handledCount).toBe(60);
    await over();
  });

  it('is sent no further once the publisher stops, and is not taken as acknowledged', async () => {
    const { sources, serve } = publishing(far, { shape: batchShape });
    sources.fresh.append(60);
    const link = far.link({ receiveMaximum: 1, maximumSizeBytes: 4000 });
    const { over, publisher } = await serve(link);
    publisher.stop('stopped');
    link.pending[0]?.ack();
    await settle();
    expect([link.pending, far.publishes.length]).toEqual([[], 1]);
    expect(sources.fresh.handledCount).toBe(0);
    expect(await over()).toBe('stopped');
  });

  it('is sent no further once one before it is refused', async () => {
    const shape = batchShape(300);
    const pack = shape.pack.bind(shape);
    // The second of all is in two parts.
    vi.spyOn(shape, 'pack').mockImplementation(async (load) => {
      const { records } = load;
      if (records[0]?.offset !== 4) return pack(load);
      const parts = [records.slice(0, 2), records.slice(2)];
      const packed = await Promise.all(parts.map((part) => pack({ ...load, records: part })));
      return packed.flat();
    });
    const { sources, serve } = publishing(far, { shape: () => shape });
    sources.fresh.append(8);
    const link = far.link();
    const { over } = await serve(link);
    const [one, two] = link.pending;
    expect([one?.identities.length, two?.identities.length]).toEqual([4, 2]);
    far.publishes.length = 0;
    one?.refuse(new CloudRefusal('later', 'busy'));
    await settle();
    two?.ack();
    await settle(10);
    while (link.pending.length > 0) await link.ackAll();
    expect(far.publishes.flatMap(({ identities }) => identities)).toEqual(
      sources.fresh.identities(),
    );
    await over();
  });
});
