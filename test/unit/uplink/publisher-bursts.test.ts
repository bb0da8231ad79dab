import { expect, it } from 'vitest';
import { CloudRefusal } from '../../../src/uplink/cloud-link.ts';
import { settle } from './fakes.ts';
import { publishing, ScriptedFar } from './publishing.ts';

// Where nothing is counted, records that are publishes of their own go sixteen at a time.

const later = new CloudRefusal('later', 'busy');

function started(window: number) {
  const far = new ScriptedFar();
  const parts = publishing(far, { window, inBursts: true });
  parts.sources.backlog.append(200);
  const link = far.link();
  return { far, link, ...parts };
}

it('bursts leave fresh records their part of the window', async () => {
  const { link, serve, sources, far } = started(64);
  const { over } = await serve(link);
  expect(link.pending).toHaveLength(56);
  sources.fresh.append(1);
  await settle();
  expect(far.streams.at(-1)).toBe('fresh');
  sources.fresh.append(20);
  await settle();
  expect(link.pending).toHaveLength(64);
  await over();
});

it('many that wait go once there is room for many; one that waits alone goes at once', async () => {
  const { link, serve, sources } = started(64);
  const { over } = await serve(link);
  for (const { ack } of link.pending.slice(0, 7)) ack();
  await settle();
  expect(link.pending).toHaveLength(49);
  link.pending[0]?.ack();
  await settle();
  expect(link.pending).toHaveLength(56);
  while (sources.backlog.backlog() > 0) await link.ackAll();
  sources.backlog.append(1);
  await settle();
  expect(link.pending).toHaveLength(1);
  await over();
});

it('what is acknowledged of a burst counts once all of it is', async () => {
  const { link, serve, sources, counters } = started(64);
  const { over } = await serve(link);
  for (const { ack } of link.pending.slice(0, 15)) ack();
  await settle();
  expect([sources.backlog.handledCount, counters.forwarded]).toEqual([0, 0]);
  link.pending[0]?.ack();
  await settle();
  expect([sources.backlog.handledCount, counters.forwarded]).toEqual([16, 16]);
  await over();
});

it('one refusal sends the burst again, and the others keep their places until then', async () => {
  const { link, serve, sources, far } = started(64);
  const { over } = await serve(link);
  const [first] = link.pending;
  first?.refuse(later);
  await settle(10);
  // None of the 55 has been answered: only what was refused has left room.
  expect(link.pending.length).toBeLessThanOrEqual(56);
  expect(link.mostPending).toBeLessThanOrEqual(56);
  while (sources.backlog.backlog() > 0) {
    await link.ackAll();
    await settle(10);
  }
  expect(far.acked.size).toBe(200);
  expect(link.mostPending).toBeLessThanOrEqual(64);
  await over();
});
