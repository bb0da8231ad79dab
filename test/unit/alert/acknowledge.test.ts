import { describe, expect, it } from 'vitest';
import { acknowledged, alertMessage } from '../../../src/alert/alert-message.ts';
import { AlertList } from '../../../src/alert-list.ts';
import { Bench } from './bench.ts';
import { alertAt } from './verdicts.ts';

const TOPIC = 'headgate/alerts/d1/temperature';

describe('an alert that a person has seen', () => {
  it('is an event of its own, and stays retained with that', async () => {
    const bench = new Bench();
    const [begin] = alertAt(1);
    await bench.handle(begin);
    bench.told.length = 0;
    bench.clock.advance(5_000);
    expect(await bench.alerter.acknowledge(begin.id)).toBe('acknowledged');
    expect(bench.told).toEqual([
      'append ack',
      'line on',
      `publish ${TOPIC} ack`,
      `publish ${TOPIC} begin retained`,
    ]);
    expect(bench.alerts.at(-1)).toMatchObject({
      alert: 'ack:d1/temperature:a1b2:readings:0:1',
      kind: 'ack',
      at: bench.clock.wallMs(),
    });
    expect(bench.alerter.list()).toMatchObject([{ acknowledged: bench.clock.wallMs() }]);
  });

  it('is acknowledged once, and only while it lasts', async () => {
    const bench = new Bench();
    const [begin, end] = alertAt(1);
    await bench.handle(begin);
    await bench.alerter.acknowledge(begin.id);
    expect(await bench.alerter.acknowledge(begin.id)).toBe('already');
    await bench.handle(end);
    expect(await bench.alerter.acknowledge(begin.id)).toBe('not-active');
    expect(bench.alerts.map(({ kind }) => kind)).toEqual(['begin', 'ack', 'end']);
  });

  it('is on flash before that', async () => {
    const bench = new Bench();
    const [begin] = alertAt(1);
    bench.alerter.see(begin);
    expect(await bench.alerter.acknowledge(begin.id)).toBe('not-stored');
  });

  it('is seen still after a restart; another one of its series is not', async () => {
    const bench = new Bench();
    const [begin, end] = alertAt(1);
    const [next] = alertAt(9);
    const message = alertMessage(begin);
    bench.alerter.remember(message);
    bench.alerter.remember(acknowledged(message, 77));
    expect(bench.alerter.list()).toMatchObject([{ acknowledged: 77 }]);
    bench.alerter.remember(alertMessage(end));
    bench.alerter.remember(alertMessage(next));
    expect(bench.alerter.list()[0]?.acknowledged).toBeUndefined();
  });

  it('cannot be stored: it is told to who asked, and the alert is not seen', async () => {
    const bench = new Bench();
    const [begin] = alertAt(1);
    await bench.handle(begin);
    bench.append = () => Promise.reject(new Error('injected'));
    await expect(bench.alerter.acknowledge(begin.id)).rejects.toThrow('injected');
    expect(bench.alerter.list()[0]?.acknowledged).toBeUndefined();
  });

  it('leaves the line if that is so set, until the next one', async () => {
    const bench = new Bench({ untilSeen: true });
    const [begin] = alertAt(1);
    await bench.handle(begin);
    expect(bench.lineActive).toBe(true);
    await bench.alerter.acknowledge(begin.id);
    expect([bench.lineActive, bench.alerter.active]).toEqual([false, 1]);
    await bench.handle(alertAt(2, { device: 'd2' })[0]);
    expect(bench.lineActive).toBe(true);
  });
});

it('the line tells of what is grave enough', async () => {
  const bench = new Bench({ lineSeverity: 'critical' });
  const limit = { name: 'hot', severity: 'critical' } as const;
  await bench.handle(alertAt(1)[0]);
  expect(bench.lineActive).toBe(false);
  await bench.handle(alertAt(2, { device: 'd2', limit })[0]);
  expect(bench.lineActive).toBe(true);
});

it('all that nobody has seen are acknowledged at once', async () => {
  const bench = new Bench();
  const list = new AlertList(bench.alerter, []);
  const [one] = alertAt(1);
  const [two] = alertAt(2, { device: 'd2' });
  for (const begin of [one, two]) await bench.handle(begin);
  expect(await list.acknowledge([one.id])).toEqual([{ alert: one.id, outcome: 'acknowledged' }]);
  expect(await list.acknowledge(undefined)).toEqual([{ alert: two.id, outcome: 'acknowledged' }]);
  expect(await list.acknowledge(undefined)).toEqual([]);
  expect(list.list()).toMatchObject([
    { alert: one.id, count: 1, open: 1, severity: 'warning' },
    { alert: two.id, acknowledged: bench.clock.wallMs() },
  ]);
});
