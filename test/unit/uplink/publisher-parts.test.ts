import { beforeEach, describe, expect, it, test } from 'vitest';
import { CloudRefusal } from '../../../src/uplink/cloud-link.ts';
import { settle } from './fakes.ts';
import { batchShape, publishing, ScriptedFar } from './publishing.ts';

// Where the size of a batch was guessed wrong it becomes several publishes.

let far = new ScriptedFar();
beforeEach(() => {
  far = new ScriptedFar();
  far.sizeOf = ({ payload }) => 4 * payload.length;
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
      expect(sent.length).toBeGreaterThan(8);
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
    link.pending[0]?.refuse(new CloudRefusal('later', 'busy'));
    await settle();
    far.publishes.length = 0;
    while (link.pending.length > 0) await link.ackAll();
    expect(far.publishes.flatMap(({ identities }) => identities)).not.toEqual([]);
    expect(sources.fresh.handledCount).toBe(60);
    await over();
  });
});
