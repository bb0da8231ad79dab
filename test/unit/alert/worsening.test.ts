import { expect, it } from 'vitest';
import { AlertStates } from '../../../src/alert/alert-state.ts';
import { Bench } from './bench.ts';
import { ALERT_OPTIONS, alertAt, verdict } from './verdicts.ts';

/** A beginning, and the end and beginning by which it turns out to be graver. */
function worsening() {
  const states = new AlertStates(ALERT_OPTIONS);
  const first = states.observe(verdict(50, 1, { fault: 'spike' }));
  return [...first, ...states.observe(verdict(50, 2, { fault: 'range' }))];
}
it('the line stays on while an alert turns out to be graver', () => {
  const bench = new Bench();
  for (const event of worsening()) bench.alerter.see(event);
  expect(bench.told).not.toContain('line off');
});

it('what turned out to be graver is not latched beside that', () => {
  const bench = new Bench({ latch: true });
  for (const event of worsening()) bench.alerter.see(event);
  expect(bench.alerter.latched()).toEqual([]);
});

it('an end that is withdrawn takes no acknowledgement away', async () => {
  const bench = new Bench({ untilSeen: true });
  const [begin, end] = alertAt(1);
  await bench.handle(begin);
  await bench.alerter.acknowledge(begin.id);
  expect(bench.lineActive).toBe(false);
  bench.alerter.see(end);
  bench.alerter.withdraw(end);
  expect(bench.lineActive).toBe(false);
});

it('an end that is withdrawn takes no older latch away', async () => {
  const bench = new Bench({ latch: true });
  const [begin1, end1] = alertAt(1);
  const [begin2, end2] = alertAt(9);
  for (const event of [begin1, end1, begin2]) await bench.handle(event);
  bench.alerter.see(end2);
  bench.alerter.withdraw(end2);
  expect(bench.alerter.latched().map(({ begun }) => begun.alert)).toEqual([begin1.id]);
});
