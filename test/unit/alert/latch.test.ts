import { describe, expect, it } from 'vitest';
import { acknowledged, alertMessage } from '../../../src/alert/alert-message.ts';
import { AlertList } from '../../../src/alert-list.ts';
import { Bench } from './bench.ts';
import { alertAt } from './verdicts.ts';

const LATCH = { latch: true };

describe('an alert that is latched', () => {
  it('stays on the line after it has ended, until somebody has seen it', async () => {
    const bench = new Bench(LATCH);
    const [begin, end] = alertAt(1);
    await bench.handle(begin);
    await bench.handle(end);
    expect([bench.lineActive, bench.alerter.active]).toEqual([true, 0]);
    expect(await bench.alerter.acknowledge(begin.id)).toBe('acknowledged');
    expect([bench.lineActive, bench.alerter.latched()]).toEqual([false, []]);
    expect(bench.alerts.map(({ kind }) => kind)).toEqual(['begin', 'end', 'ack']);
    expect(await bench.alerter.acknowledge(begin.id)).toBe('not-active');
  });

  it('is off with its end if it was seen before that', async () => {
    const bench = new Bench(LATCH);
    const [begin, end] = alertAt(1);
    await bench.handle(begin);
    await bench.alerter.acknowledge(begin.id);
    expect(bench.lineActive).toBe(true);
    await bench.handle(end);
    expect(bench.lineActive).toBe(false);
  });

  it('is none where the line would not have shown it', async () => {
    const bench = new Bench({ ...LATCH, lineSeverity: 'critical' });
    for (const event of alertAt(1)) await bench.handle(event);
    expect([bench.lineActive, bench.alerter.latched()]).toEqual([false, []]);
  });

  it('is latched still after a restart, unless it was seen', async () => {
    const [begin, end] = alertAt(1);
    const bench = new Bench(LATCH);
    await bench.restart([begin, end]);
    expect(bench.lineActive).toBe(true);
    const later = new Bench(LATCH);
    for (const event of [begin, end]) later.alerter.remember(alertMessage(event));
    later.alerter.remember(acknowledged(alertMessage(begin), 77));
    await later.restart([]);
    expect(later.lineActive).toBe(false);
  });

  it('is not latched if it was seen before its end, in the stream too', async () => {
    const [begin, end] = alertAt(1);
    const bench = new Bench(LATCH);
    bench.alerter.remember(alertMessage(begin));
    bench.alerter.remember(acknowledged(alertMessage(begin), 77));
    bench.alerter.remember(alertMessage(end));
    await bench.restart([]);
    expect(bench.lineActive).toBe(false);
  });

  it('is seen with the next one of its series', async () => {
    const bench = new Bench(LATCH);
    const [begin, end] = alertAt(1);
    const [next, nextEnd] = alertAt(9);
    for (const event of [begin, end, next]) await bench.handle(event);
    await bench.alerter.acknowledge(next.id);
    await bench.handle(nextEnd);
    expect(bench.lineActive).toBe(false);
  });

  it('is withdrawn with the end of which the reading could not be stored', async () => {
    const bench = new Bench(LATCH);
    const [begin, end] = alertAt(1);
    await bench.handle(begin);
    bench.alerter.see(end);
    bench.alerter.withdraw(end);
    expect([bench.alerter.active, bench.alerter.latched()]).toEqual([1, []]);
    await bench.alerter.acknowledge(begin.id);
    await bench.handle(end);
    expect(bench.lineActive).toBe(false);
  });

  it('stays if the acknowledgement cannot be stored', async () => {
    const bench = new Bench(LATCH);
    const [begin, end] = alertAt(1);
    for (const event of [begin, end]) await bench.handle(event);
    bench.append = () => Promise.reject(new Error('injected'));
    await expect(bench.alerter.acknowledge(begin.id)).rejects.toThrow('injected');
    expect([bench.lineActive, bench.alerter.latched().length]).toEqual([true, 1]);
  });

  it('is listed with its end, and acknowledged with all', async () => {
    const bench = new Bench(LATCH);
    const list = new AlertList(bench.alerter, []);
    const [begin, end] = alertAt(1);
    const [other] = alertAt(2, { device: 'd2' });
    for (const event of [begin, end, other]) await bench.handle(event);
    expect(list.list()).toMatchObject([
      { alert: other.id, open: 1 },
      { alert: begin.id, open: 0, ended: Math.round(end.atMs) },
    ]);
    expect((await list.acknowledge(undefined)).map(({ outcome }) => outcome)).toEqual([
      'acknowledged',
      'acknowledged',
    ]);
    expect(list.list()).toMatchObject([{ alert: other.id, acknowledged: bench.clock.wallMs() }]);
  });
});

it('nothing is latched where that is not wanted', async () => {
  const bench = new Bench();
  for (const event of alertAt(1)) await bench.handle(event);
  expect([bench.lineActive, bench.alerter.latched()]).toEqual([false, []]);
});
