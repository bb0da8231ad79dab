import { describe, expect, it } from 'vitest';
import type { AlertEvent } from '../../../src/alert/alert-state.ts';
import { Alerter, alertTopic, reasonOf } from '../../../src/alert/alerter.ts';
import { newCounters } from '../../../src/base/counters.ts';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import { alertAt } from './verdicts.ts';

const TOPIC = 'headgate/alerts/d1/temperature';

/** An alerter whose flash, broker and line write down what they are told, and fail on demand. */
class Bench {
  readonly counters = newCounters();
  /** What happened, in order. */
  readonly told: string[] = [];
  readonly payloads: string[] = [];
  readonly logged: string[] = [];
  lineActive = false;
  append: (event: AlertEvent) => Promise<void> = async () => {};
  publish: (topic: string) => Promise<void> = async () => {};
  drive: () => void = () => {};

  readonly alerter = new Alerter({
    append: async (event, payload) => {
      await this.append(event);
      this.told.push(`append ${event.kind}`);
      this.payloads.push(Buffer.from(payload).toString());
    },
    publish: async (topic, payload, retain) => {
      await this.publish(topic);
      const text = Buffer.from(payload).toString();
      const kind = text === '' ? 'nothing' : JSON.parse(text).kind;
      this.told.push(`publish ${topic} ${kind}${retain ? ' retained' : ''}`);
    },
    line: {
      name: 'bench',
      set: (active) => {
        this.drive();
        this.lineActive = active;
        this.told.push(`line ${active ? 'on' : 'off'}`);
      },
      close() {},
    },
    counters: this.counters,
    logger: this.#logger(),
  });

  #logger(): Logger {
    const log = (_: unknown, message: string) => this.logged.push(message);
    return { ...silentLogger, warn: log, info: log, error: log };
  }
}

const failing = () => Promise.reject(new Error('injected'));

describe('an alert is told', () => {
  it('to the line first, then to flash, then to MQTT, where it stays until it ends', async () => {
    const bench = new Bench();
    const [begin, end] = alertAt(7);
    await bench.alerter.handle(begin);
    await bench.alerter.handle(end);
    expect(bench.told).toEqual([
      'line on',
      'append begin',
      `publish ${TOPIC} begin retained`,
      'line off',
      'append end',
      `publish ${TOPIC} end`,
      `publish ${TOPIC} nothing retained`,
    ]);
    expect(bench.counters.alerts).toBe(1);
    expect(bench.logged).toEqual(['an alert has begun', 'an alert has ended']);
  });

  it('to the line before flash has answered', async () => {
    const bench = new Bench();
    let written = () => {};
    bench.append = () => new Promise((resolve) => (written = resolve));
    const handled = bench.alerter.handle(alertAt(7)[0]);
    expect(bench.told).toEqual(['line on']);
    written();
    await handled;
    expect(bench.told).toHaveLength(3);
  });

  it('as JSON with all that is known', async () => {
    const bench = new Bench();
    await bench.alerter.handle(alertAt(7)[0]);
    expect(JSON.parse(bench.payloads[0] ?? '')).toEqual({
      alert: 'begin:d1/temperature:readings:0:7',
      kind: 'begin',
      device: 'd1',
      metric: 'temperature',
      value: 70,
      expected: [12, 28],
      score: 50,
      cause: { stream: 'readings', partition: 0, offset: 7 },
      since: 1_795_000_007_000,
      at: 1_795_000_007_000,
      suppressed: 0,
      reason: 'temperature of d1 is 70, expected 12 to 28',
    });
  });

  it.each([
    [80, 18.9, 22.4, 'is 80, expected 18.9 to 22.4'],
    [80.123456, 18.91234, 22.41234, 'is 80.12, expected 18.91 to 22.41'],
    [101_390.4, 101_320.12, 101_380.88, 'is 101390.4, expected 101320.1 to 101380.9'],
    [0.0012345, 0.0010001, 0.0010009, 'is 0.0012345, expected 0.0010001 to 0.0010009'],
    [-3e7, 1e6, 2e6, 'is -30000000, expected 1000000 to 2000000'],
    [1e300, -1e200, 1e200, 'is 1e+300, expected -1e+200 to 1e+200'],
  ])('in a sentence for people: %d', (value, expectedLow, expectedHigh, said) => {
    const [begin] = alertAt(0, { value, expectedLow, expectedHigh });
    expect(reasonOf(begin)).toBe(`temperature of d1 ${said}`);
  });

  it.each([
    ['d1', 'room.temperature', 'd1/room.temperature'],
    ['a/b', '#', 'a_b/_'],
    ['+', 'x\u0000y\u001f\u007f\u0085', '_/x_y___'],
    ['dü', 'Größe °C', 'dü/Größe °C'],
  ])('on one topic level each: %j %j', (device, metric, levels) => {
    const [begin] = alertAt(0, { device, metric });
    expect(alertTopic(begin)).toBe(`headgate/alerts/${levels}`);
  });
});

describe('the line', () => {
  it('is on while any alert is active', async () => {
    const bench = new Bench();
    const [begin1, end1] = alertAt(1);
    const [begin2, end2] = alertAt(2, { device: 'd2' });
    const after: boolean[] = [];
    for (const event of [begin1, begin2, end1, end2]) {
      await bench.alerter.handle(event);
      after.push(bench.lineActive);
    }
    expect(after).toEqual([true, true, true, false]);
    expect(bench.alerter.active).toBe(0);
  });

  it('is on while another series has the same topic, which then stays retained', async () => {
    const bench = new Bench();
    const [begin1, end1] = alertAt(1, { metric: 'a/b' });
    const [begin2, end2] = alertAt(3, { metric: 'a_b' });
    for (const event of [begin1, begin2, end2]) await bench.alerter.handle(event);
    expect([bench.lineActive, bench.told.at(-1)]).toEqual([
      true,
      'publish headgate/alerts/d1/a_b end',
    ]);
    await bench.alerter.handle(end1);
    expect([bench.lineActive, bench.told.at(-1)]).toEqual([
      false,
      'publish headgate/alerts/d1/a_b nothing retained',
    ]);
  });

  it('is on while another stream has an alert of the same device and metric', async () => {
    const bench = new Bench();
    const [begin, end] = alertAt(1);
    const cause = { stream: 'other', partition: 0, offset: 1 };
    await bench.alerter.handle(begin);
    await bench.alerter.handle(alertAt(1, { cause })[0]);
    await bench.alerter.handle(end);
    expect([bench.lineActive, bench.alerter.active]).toEqual([true, 1]);
  });

  it('is on after a restart, and alerts are retained again', async () => {
    const bench = new Bench();
    const [begin, end] = alertAt(1);
    await bench.alerter.restoreActive([begin, alertAt(2, { device: 'd2' })[0]]);
    expect(bench.told).toEqual([
      'line on',
      `publish ${TOPIC} begin retained`,
      'publish headgate/alerts/d2/temperature begin retained',
    ]);
    expect([bench.counters.alerts, bench.alerter.active]).toEqual([0, 2]);
    await bench.alerter.handle(end);
    expect(bench.lineActive).toBe(true);
  });

  it('is off after a restart with no alert', async () => {
    const bench = new Bench();
    await bench.alerter.restoreActive([]);
    expect(bench.told).toEqual(['line off']);
  });
});

describe('what fails', () => {
  it('a line: is logged, and stops nothing', async () => {
    const bench = new Bench();
    bench.drive = () => {
      throw new Error('EIO');
    };
    await bench.alerter.handle(alertAt(1)[0]);
    expect(bench.told).toEqual(['append begin', `publish ${TOPIC} begin retained`]);
    expect(bench.logged).toContain('the alert line could not be driven');
  });

  it('the broker: is logged, and stops nothing', async () => {
    const bench = new Bench();
    bench.publish = failing;
    const [begin, end] = alertAt(1);
    await bench.alerter.handle(begin);
    await bench.alerter.handle(end);
    expect(bench.told).toEqual(['line on', 'append begin', 'line off', 'append end']);
    expect(bench.logged.filter((said) => said === 'an alert was not published')).toHaveLength(3);
  });

  it('flash: is told to the caller, who tries again; it counts once', async () => {
    const bench = new Bench();
    bench.append = failing;
    const [begin] = alertAt(1);
    await expect(bench.alerter.handle(begin)).rejects.toThrow('injected');
    await expect(bench.alerter.handle(begin)).rejects.toThrow('injected');
    expect(bench.told).toEqual(['line on']);
    bench.append = async () => {};
    await bench.alerter.handle(begin);
    expect(bench.told.slice(1)).toEqual(['append begin', `publish ${TOPIC} begin retained`]);
    expect(bench.counters.alerts).toBe(1);
    expect(bench.logged).toEqual(['an alert has begun']);
  });

  it('flash, until the alert has ended: the line is off and nothing stays retained', async () => {
    const bench = new Bench();
    const [begin, end] = alertAt(1);
    bench.append = failing;
    await expect(bench.alerter.handle(begin)).rejects.toThrow('injected');
    bench.append = async () => {};
    await bench.alerter.handle(end);
    await bench.alerter.handle(begin);
    expect(bench.told).toEqual([
      'line on',
      'line off',
      'append end',
      `publish ${TOPIC} end`,
      `publish ${TOPIC} nothing retained`,
      'append begin',
      `publish ${TOPIC} begin`,
    ]);
    expect([bench.lineActive, bench.alerter.active]).toEqual([false, 0]);
  });

  it('nothing, when the same beginning is handed in twice', async () => {
    const bench = new Bench();
    const [begin] = alertAt(1);
    await bench.alerter.handle(begin);
    await bench.alerter.handle(begin);
    expect([bench.counters.alerts, bench.alerter.active]).toEqual([1, 1]);
  });
});
