import { describe, expect, it } from 'vitest';
import { alertMessage, alertTopic, parseAlert } from '../../../src/alert/alert-message.ts';
import { Bench } from './bench.ts';
import { alertAt, scoreOf } from './verdicts.ts';

const TOPIC = 'headgate/alerts/d1/temperature';

const OTHER_STREAM = { cause: { stream: 'other', partition: 0, offset: 1 } };
const failing = () => Promise.reject(new Error('injected'));

describe('an alert is told', () => {
  it('to the line first, then to flash, then to MQTT, where it stays until it ends', async () => {
    const bench = new Bench();
    const [begin, end] = alertAt(7);
    await bench.handle(begin);
    await bench.handle(end);
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
    const handled = bench.handle(alertAt(7)[0]);
    expect(bench.told).toEqual(['line on']);
    written();
    await handled;
    expect(bench.told).toHaveLength(3);
  });

  it('as JSON with all that is known', async () => {
    const bench = new Bench();
    await bench.handle(alertAt(7, { oneIn: 4_000 })[0]);
    expect(bench.alerts[0]).toEqual({
      alert: 'begin:d1/temperature:a1b2:readings:0:7',
      kind: 'begin',
      severity: 'warning',
      fault: 'unusual',
      source: 'learned',
      device: 'd1',
      metric: 'temperature',
      value: 70,
      expected: [12, 28],
      score: scoreOf(50),
      oneIn: 4_000,
      cause: { stream: 'readings', partition: 0, offset: 7 },
      since: 1_795_000_007_000,
      at: 1_795_000_007_000,
      suppressed: 0,
      count: 1,
      reason:
        'temperature of d1 is 70, expected 12 to 28 at this hour; ' +
        'about one value in 4,000 is as unusual',
    });
  });

  it.each([
    ['d1', 'room.temperature', 'd1/room.temperature'],
    ['a/b', '#', 'a_b/_'],
    ['+', 'x\u0000y\u001f\u007f\u0085', '_/x_y___'],
    ['dü', 'Größe °C', 'dü/Größe °C'],
    ['\ud800', '\uffff', '_/_'],
  ])('on one topic level each: %j %j', (device, metric, levels) => {
    expect(alertTopic({ device, metric })).toBe(`headgate/alerts/${levels}`);
  });
});

describe('the line', () => {
  it('is on while any alert is active', async () => {
    const bench = new Bench();
    const [begin1, end1] = alertAt(1);
    const [begin2, end2] = alertAt(2, { device: 'd2' });
    const after: boolean[] = [];
    for (const event of [begin1, begin2, end1, end2]) {
      await bench.handle(event);
      after.push(bench.lineActive);
    }
    expect(after).toEqual([true, true, true, false]);
    expect(bench.alerter.active).toBe(0);
  });

  it('is on while another series has the same topic', async () => {
    const bench = new Bench();
    const [begin1, end1] = alertAt(1, { metric: 'a/b' });
    const [begin2, end2] = alertAt(3, { metric: 'a_b' });
    for (const event of [begin1, begin2, end2]) await bench.handle(event);
    expect(bench.lineActive).toBe(true);
    await bench.handle(end1);
    expect(bench.lineActive).toBe(false);
  });

  it('is on while another stream has an alert of the same device and metric', async () => {
    const bench = new Bench();
    const [begin, end] = alertAt(1);
    await bench.handle(begin);
    await bench.handle(alertAt(1, OTHER_STREAM)[0]);
    await bench.handle(end);
    expect([bench.lineActive, bench.alerter.active]).toEqual([true, 1]);
  });

  it('is on after a restart, and alerts are retained again', async () => {
    const bench = new Bench();
    const [begin, end] = alertAt(1);
    await bench.restart([begin, alertAt(2, { device: 'd2' })[0]]);
    expect(bench.told).toEqual([
      'line on',
      `publish ${TOPIC} begin retained`,
      'publish headgate/alerts/d2/temperature begin retained',
    ]);
    expect([bench.counters.alerts, bench.alerter.active]).toEqual([0, 2]);
    await bench.handle(end);
    expect(bench.lineActive).toBe(true);
  });

  it('is off after a restart with no alert', async () => {
    const bench = new Bench();
    await bench.restart([]);
    expect(bench.told).toEqual(['line off']);
  });

  it('shows the gravest that lasts, and which one is new', async () => {
    const bench = new Bench();
    const limit = { name: 'hot', severity: 'critical' } as const;
    const [warning, warningEnd] = alertAt(1);
    const [critical, criticalEnd] = alertAt(2, { device: 'd2', limit });
    for (const event of [warning, critical, criticalEnd, warningEnd]) await bench.handle(event);
    expect(bench.shown).toEqual(['new warning', 'new critical', 'warning', undefined]);
  });

  it('is not told of a new one that is not grave enough', async () => {
    const bench = new Bench({ lineSeverity: 'critical' });
    const limit = { name: 'hot', severity: 'critical' } as const;
    await bench.handle(alertAt(1, { limit })[0]);
    await bench.handle(alertAt(2, { device: 'd2' })[0]);
    expect(bench.shown).toEqual(['new critical', 'critical']);
  });
});

describe('what stays retained', () => {
  it.each([
    ['two series', { metric: 'a/b' }, { metric: 'a_b' }],
    ['two streams', { metric: 'a_b' }, { metric: 'a_b', ...OTHER_STREAM }],
  ])('on the topic of %s is the alert that lasts', async (_, over1, over2) => {
    for (const order of ['first', 'second']) {
      const bench = new Bench();
      const [begin1, end1] = alertAt(1, over1);
      const [begin2, end2] = alertAt(1, over2);
      await bench.handle(begin1);
      await bench.handle(begin2);
      await bench.handle(order === 'first' ? end1 : end2);
      const lasting = order === 'first' ? begin2 : begin1;
      expect([...bench.retained.values()]).toEqual([lasting.id]);
      await bench.handle(order === 'first' ? end2 : end1);
      expect(bench.retained.size).toBe(0);
    }
  });

  it('beside another one is the graver, whichever came first, and after a restart', async () => {
    const critical = { metric: 'a_b', limit: { name: 'hot', severity: 'critical' } } as const;
    const [grave] = alertAt(1, critical);
    const [slight, end] = alertAt(1, { metric: 'a/b', fault: 'spike' });
    for (const order of [
      [grave, slight],
      [slight, grave],
    ]) {
      const bench = new Bench();
      for (const event of order) await bench.handle(event);
      expect([...bench.retained.values()]).toEqual([grave.id]);
      await bench.alerter.acknowledge(slight.id);
      expect([...bench.retained.values()]).toEqual([grave.id]);
      await bench.restart(order);
      expect([...bench.retained.values()]).toEqual([grave.id]);
      await bench.handle(end);
      expect([...bench.retained.values()]).toEqual([grave.id]);
    }
  });

  it('is no alert that is not on flash yet', async () => {
    const bench = new Bench();
    const [begin, end] = alertAt(1);
    const [other] = alertAt(1, OTHER_STREAM);
    await bench.handle(begin);
    bench.alerter.see(other);
    await bench.handle(end);
    expect([...bench.retained.values()]).toEqual([begin.id]);
    await bench.alerter.keep(other);
    expect([...bench.retained.values()]).toEqual([other.id]);
  });

  it('after a restart is the alert that lasts, which is never taken away', async () => {
    const bench = new Bench();
    const [other] = alertAt(1, OTHER_STREAM);
    await bench.restart([...alertAt(1), other]);
    expect([...bench.retained.values()]).toEqual([other.id]);
    expect(bench.told).not.toContain(`publish ${TOPIC} nothing retained`);
  });
});

describe('an alert that another one of its series replaces', () => {
  it('ends first, in the stream too, and ends once', async () => {
    const bench = new Bench();
    const [old, oldEnd] = alertAt(1);
    const [begin] = alertAt(5);
    await bench.restart([old]);
    bench.told.length = 0;
    bench.alerter.see(begin);
    bench.append = failing;
    await expect(bench.alerter.keep(begin)).rejects.toThrow('injected');
    bench.append = async () => {};
    await bench.alerter.keep(begin);
    expect(bench.alerts.map(({ alert }) => alert)).toEqual([
      'end:d1/temperature:a1b2:readings:0:1',
      begin.id,
    ]);
    expect(bench.logged).toEqual(['an alert has ended', 'an alert has begun']);
    expect([...bench.retained.values()]).toEqual([begin.id]);
    await bench.handle(oldEnd);
    expect([bench.lineActive, bench.alerter.isActive(begin.id)]).toEqual([true, true]);
  });

  it('is not the same one, which the stream has though its id is forgotten', async () => {
    const bench = new Bench();
    const [begin] = alertAt(1);
    await bench.restart([begin]);
    bench.stored.clear();
    await bench.handle(begin);
    expect(bench.alerts.map(({ alert }) => alert)).toEqual([begin.id]);
    expect(bench.lineActive).toBe(true);
  });

  it('is no orphan any more, nor is the one that replaced it', async () => {
    const bench = new Bench();
    const [begin] = alertAt(5);
    await bench.restart([alertAt(1, { device: 'd0' })[0], alertAt(1)[0]]);
    let written = () => {};
    bench.append = () => new Promise((resolve) => (written = resolve));
    // The end of d0 is on its way to flash when d1 has a new alert.
    const ended = bench.alerter.endOrphans(() => true);
    bench.append = async () => {};
    await bench.handle(begin);
    written();
    await ended;
    expect([bench.lineActive, bench.alerter.isActive(begin.id)]).toEqual([true, true]);
  });
});

describe('what the stream holds already', () => {
  it('is told to nobody a second time', async () => {
    const bench = new Bench();
    const [begin, end] = alertAt(1);
    const [later] = alertAt(9);
    await bench.restart([begin, end, later]);
    bench.told.length = 0;
    for (const event of [begin, end, later]) await bench.handle(event);
    expect(bench.told).toEqual([]);
    expect([bench.counters.alerts, bench.logged]).toEqual([0, []]);
    expect([bench.lineActive, bench.alerter.isActive(later.id)]).toEqual([true, true]);
  });

  it('is cleared from MQTT if it has ended: the crash may have come before that', async () => {
    const bench = new Bench();
    const [begin, end] = alertAt(1);
    await bench.restart([begin, end]);
    expect(bench.told).toEqual(['line off', `publish ${TOPIC} nothing retained`]);
  });

  it('is read back as it was written, and anything else is passed over', () => {
    const message = alertMessage(alertAt(1)[0]);
    expect(parseAlert(Buffer.from(JSON.stringify(message)))).toEqual(message);
    for (const text of ['', '{', 'null', '{}', '{"alert":"x","kind":"begin"}']) {
      expect(parseAlert(Buffer.from(text))).toBeUndefined();
    }
    const other = { ...message, kind: 'other' };
    expect(parseAlert(Buffer.from(JSON.stringify(other)))).toBeUndefined();
  });
});

describe('an alert that nobody watches any more', () => {
  it('ends everywhere, under a name of its own', async () => {
    const bench = new Bench();
    const [begin] = alertAt(1);
    const [other] = alertAt(2, { device: 'd2' });
    await bench.restart([begin, other]);
    bench.told.length = 0;
    bench.clock.advance(5_000);
    await bench.alerter.endOrphans(({ device }) => device === 'd1');
    expect(bench.told).toEqual([
      'line on',
      'append end',
      `publish ${TOPIC} end`,
      `publish ${TOPIC} nothing retained`,
    ]);
    expect(bench.alerts.at(-1)).toMatchObject({
      alert: 'end:d1/temperature:a1b2:readings:0:1',
      kind: 'end',
      since: 1_795_000_001_000,
      at: bench.clock.wallMs(),
      reason: 'temperature of d1 is not watched any more',
    });
    await bench.alerter.endOrphans(() => true);
    expect([bench.lineActive, bench.alerter.active]).toEqual([false, 0]);
  });

  it('is off the line even if its end cannot be stored', async () => {
    const bench = new Bench();
    await bench.restart([alertAt(1)[0]]);
    bench.append = failing;
    await bench.alerter.endOrphans(() => true);
    expect(bench.lineActive).toBe(false);
    expect(bench.logged).toEqual(['an alert has ended', 'the end of an alert could not be stored']);
  });
});

describe('what fails', () => {
  it('the broker: is logged, and stops nothing', async () => {
    const bench = new Bench();
    bench.publish = failing;
    const [begin, end] = alertAt(1);
    await bench.handle(begin);
    await bench.handle(end);
    expect(bench.told).toEqual(['line on', 'append begin', 'line off', 'append end']);
    expect(bench.logged.filter((said) => said === 'an alert was not published')).toHaveLength(3);
  });

  it('flash: is told to the caller, who tries again', async () => {
    const bench = new Bench();
    bench.append = failing;
    const [begin] = alertAt(1);
    bench.alerter.see(begin);
    await expect(bench.alerter.keep(begin)).rejects.toThrow('injected');
    await expect(bench.alerter.keep(begin)).rejects.toThrow('injected');
    expect(bench.told).toEqual(['line on']);
    bench.append = async () => {};
    await bench.alerter.keep(begin);
    expect(bench.told.slice(1)).toEqual(['append begin', `publish ${TOPIC} begin retained`]);
    expect(bench.counters.alerts).toBe(1);
    expect(bench.logged).toEqual(['an alert has begun']);
  });

  it('flash, until the alert has ended: the line is off and nothing stays retained', async () => {
    const bench = new Bench();
    const [begin, end] = alertAt(1);
    bench.alerter.see(begin);
    bench.alerter.see(end);
    await bench.alerter.keep(begin);
    await bench.alerter.keep(end);
    expect(bench.told).toEqual([
      'line on',
      'line off',
      'append begin',
      `publish ${TOPIC} begin`,
      'append end',
      `publish ${TOPIC} end`,
      `publish ${TOPIC} nothing retained`,
    ]);
    expect([bench.lineActive, bench.alerter.active]).toEqual([false, 0]);
  });
});
