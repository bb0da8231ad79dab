import { expect, it } from 'vitest';
import { settle } from './fakes.ts';
import { batchShape, publishing, ScriptedFar } from './publishing.ts';

// Each acknowledgement frees one place: fresh records alone must not take all of them.
it.each([
  ['window', { window: 64 }],
  ['bytes', { window: 1000, maxInFlightBytes: 10_000 }],
] as const)('the backlog gets its share while fresh records fill the %s', async (_, given) => {
  for (const inBursts of [false, true]) {
    const far = new ScriptedFar();
    const { sources, serve } = publishing(far, { ...given, inBursts, backlogShare: 0.2 });
    sources.fresh.append(3000);
    const link = far.link();
    const { over } = await serve(link);
    sources.backlog.append(1000);
    await settle();
    // The broker answers in order, one at a time.
    for (let i = 0; i < 1500; i++) {
      link.pending[0]?.ack();
      await settle(1);
    }
    const backlog = far.streams.filter((stream) => stream === 'backlog').length;
    expect([inBursts, sources.fresh.backlog() > 0, backlog > 100]).toEqual([inBursts, true, true]);
    await over();
  }
});

// Of those that wait behind a cut in parts, the first goes first.
it('a cut packed in the moment when the parts of another are over does not overtake', async () => {
  const bad: unknown[] = [];
  for (let ticks = 0; ticks < 24; ticks++) {
    const far = new ScriptedFar();
    const shape = batchShape(300);
    const pack = shape.pack.bind(shape);
    // The first cut is in two parts, as where the compression was guessed wrong.
    shape.pack = async (load) => {
      const { records } = load;
      if (records[0]?.stream !== 'fresh' || records[0].offset !== 0) return pack(load);
      const parts = [records.slice(0, 2), records.slice(2)];
      const packed = await Promise.all(parts.map((part) => pack({ ...load, records: part })));
      return packed.flat();
    };
    // A cut in parts, one behind it; alerts take the other places.
    const { sources, serve } = publishing(far, { shape: () => shape, window: 3 });
    sources.alerts.append(4);
    const link = far.link();
    const { over } = await serve(link);
    sources.fresh.append(12);
    await settle(6);
    const alert = link.pending.find(({ stream }) => stream === 'alerts');
    const ackPart = async () => {
      const part = link.pending.find(({ stream }) => stream === 'fresh');
      part?.ack();
    };
    await ackPart();
    await settle(6);
    // Two PUBACKs in one packet of TCP.
    const later = (async () => {
      for (let i = 0; i < ticks; i++) await undefined;
      await ackPart();
    })();
    alert?.ack();
    await later;
    await settle(6);
    while (link.pending.length > 0) await link.ackAll();
    const sent = far.publishes.filter(({ stream }) => stream === 'fresh');
    const order = sent.flatMap(({ identities }) => identities.map((one) => one.split('/').at(-1)));
    if (order.some((one, i) => Number(one) !== i)) bad.push([ticks, order.join(' ')]);
    await over();
  }
  expect(bad).toEqual([]);
});
