import { expect, it } from 'vitest';
import { BacklogWindow } from '../../../src/uplink/backlog-window.ts';
import { settle } from './fakes.ts';
import { publishing, ScriptedFar, type ScriptedLink } from './publishing.ts';

/** Answers what is on its way as a link of so many bytes a ms does, with a round trip. */
async function runFor(
  ms: number,
  {
    link,
    clock,
    perMs,
    rttMs,
    state,
    each,
  }: {
    link: ScriptedLink;
    clock: { mono: number; advance(ms: number): void };
    perMs: number;
    rttMs: () => number;
    state: { freeAt: number; due: Map<object, number> };
    each: () => void;
  },
) {
  const STEP = 10;
  for (let t = 0; t < ms; t += STEP) {
    each();
    await settle(1);
    for (const publish of link.pending) {
      if (state.due.has(publish)) continue;
      state.freeAt = Math.max(state.freeAt, clock.mono) + publish.bytes / perMs;
      state.due.set(publish, state.freeAt + rttMs());
    }
    clock.advance(STEP);
    for (const publish of [...link.pending]) {
      const at = state.due.get(publish);
      if (at !== undefined && at <= clock.mono) publish.ack();
    }
    await settle(1);
  }
}

// Nothing overtakes what stands in the buffers of the network, an alert no more than others.
it('an alert passes soon on a link that fresh records fill', async () => {
  const far = new ScriptedFar();
  far.sizeOf = () => 350;
  const { sources, serve, clock } = publishing(far, {
    ...{ window: 1000, maxInFlightBytes: 262_144, inBursts: true },
  });
  const link = far.link();
  const { over } = await serve(link);
  const state = { freeAt: 0, due: new Map<object, number>() };
  // 64 kbit/s; 40 readings a second, 1.75 times what the link takes.
  let owed = 0;
  const each = () => {
    owed += 0.4;
    if (owed >= 1) sources.fresh.append(Math.floor(owed));
    owed %= 1;
  };
  const common = { link, clock, perMs: 8, rttMs: () => 50, state, each };
  await runFor(60_000, common);
  sources.alerts.append(1);
  const sentAt = clock.mono;
  while (sources.alerts.backlog() > 0) await runFor(100, common);
  const waited = clock.mono - sentAt;
  await over();
  expect(waited).toBeLessThan(3_000);
}, 120_000);

// A phone's link that moves to another mast. The quickest answer of before says nothing any more.
it('the window grows again on a link whose round trip has become longer', () => {
  const window = new BacklogWindow(229_376);
  let now = 0;
  window.answered(200, now, now + 30);
  // A handover: two seconds without an answer.
  for (let i = 0; i < 2; i++) {
    now += 2_000;
    window.answered(1_000, now, now + 2_000);
    now += 2_000;
  }
  // From then on an answer takes 330 ms, however little is on its way: for an hour.
  for (let i = 0; i < 3_600 * 3; i++) {
    window.answered(window.bytes, now, now + 330);
    now += 330;
  }
  expect(window.bytes).toBeGreaterThan(16_384);
});

it('the backlog goes on beside fresh records after a handover to a longer round trip', async () => {
  const far = new ScriptedFar();
  far.sizeOf = () => 350;
  const { sources, serve, clock } = publishing(far, {
    ...{ window: 1000, maxInFlightBytes: 262_144, inBursts: true },
  });
  sources.backlog.append(20_000);
  const link = far.link();
  let rtt = 30;
  const { over } = await serve(link);
  const state = { freeAt: 0, due: new Map<object, number>() };
  let owed = 0;
  // 60 readings a second on a link of 1 Mbit/s: a sixth of it.
  const each = () => {
    owed += 0.6;
    if (owed >= 1) sources.fresh.append(Math.floor(owed));
    owed %= 1;
  };
  const common = { link, clock, perMs: 125, rttMs: () => rtt, state, each };
  // A quick first answer, then three stalls of two seconds each, then 330 ms.
  await runFor(100, common);
  for (let i = 0; i < 3; i++) {
    rtt = 2_000;
    await runFor(2_100, common);
    rtt = 330;
    await runFor(2_100, common);
  }
  rtt = 330;
  const before = sources.backlog.handledCount;
  const fresh = sources.fresh.handledCount;
  await runFor(90_000, common);
  const rates = [sources.backlog.handledCount - before, sources.fresh.handledCount - fresh];
  await over();
  // The link has room for 350 records a second, and 60 are fresh: at least 13 of the 290 left.
  expect(rates[0]).toBeGreaterThan(20 * 60);
}, 120_000);
