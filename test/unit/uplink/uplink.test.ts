import { describe, expect, test, vi } from 'vitest';
import { Backoff } from '../../../src/base/backoff.ts';
import { seededRandom } from '../../../src/base/clock.ts';
import { CloudRefusal, type OpenLink } from '../../../src/uplink/cloud-link.ts';
import { ackAll, drain, FakeCloud, FakeSource, settle, uplinkOver } from './fakes.ts';
import { start } from './started-uplinks.ts';

describe('what reaches the cloud', () => {
  test('every record, with its identity, on its topic, in order', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(40);
    const { counters } = start(cloud, [source]);
    await drain(cloud, [source]);
    expect(cloud.arrived.map(({ identity }) => identity)).toEqual(source.identities());
    expect(cloud.arrived[4]?.topic).toBe('headgate/gw/readings/d1');
    expect(counters.forwarded).toBe(40);
  });

  test('a record that is stored while the link is up goes out at once', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    start(cloud, [source]);
    await cloud.link();
    await settle();
    expect(cloud.arrived).toHaveLength(0);
    source.append(1);
    await settle();
    expect(cloud.arrived).toHaveLength(1);
  });

  const seeds = Array.from({ length: 60 }, (_, i) => i + 1);
  test.each(seeds)(
    'with acknowledgements, losses and refusals at random, seed %i',
    async (seed) => {
      const random = seededRandom(seed);
      const pick = (count: number) => Math.floor(random() * count);
      const cloud = new FakeCloud(pick(3) === 0 ? 1 + pick(6) : undefined);
      const window = 1 + pick(12);
      const allowed = Math.min(window, cloud.receiveMaximum ?? window);
      const sources = ['alerts', 'readings', 'dead-letter'].map(
        (stream) => new FakeSource(stream, cloud, random),
      );
      const { uplink, counters } = start(cloud, sources, { window, inBursts: seed % 2 === 0 });
      for (let step = 0; step < 150; step++) {
        const link = await cloud.link();
        const action = random();
        if (action < 0.25) sources[pick(3)]?.append(pick(20));
        else if (action < 0.85) link.pending[pick(link.pending.length)]?.ack();
        else if (action < 0.9) link.end('cut off');
        else if (action < 0.93)
          link.pending[pick(link.pending.length)]?.refuse(
            new CloudRefusal('later', 'the cloud refused a record with reason 0x97'),
          );
        else if (action < 0.96) ackAll(link);
        else {
          cloud.away = true;
          link.end('the cloud is away');
          await cloud.nextTry();
          cloud.away = false;
        }
        await settle(pick(3));
      }
      await drain(cloud, sources);
      await uplink.stop();
      let count = 0;
      let parkedCount = 0;
      for (const source of sources) {
        count += source.length;
        expect(source.handledCount).toBe(source.length);
        const missing = source.identities().filter((one) => !cloud.acked.has(one));
        expect(missing.filter((one) => !source.parked.has(one))).toEqual([]);
        parkedCount += source.parked.size;
        // Refusals and the ends of links may have hit the same record by chance, time after time.
        for (const one of source.parked) expect(cloud.doubted.get(one)).toBeGreaterThan(3);
        expect(source.mostHeld).toBeLessThanOrEqual(allowed + 256);
      }
      // Sent again or not, a record that the cloud has counts once.
      expect(counters.forwarded).toBe(count - parkedCount);
      expect(cloud.links.filter(({ mostPending }) => mostPending > allowed)).toEqual([]);
      expect(cloud.links.filter(({ closed }) => !closed)).toEqual([]);
    },
  );
});

describe('what may be on its way', () => {
  test('the window is filled and never exceeded', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(30);
    start(cloud, [source], { window: 5 });
    const link = await cloud.link();
    await settle();
    expect(link.pending).toHaveLength(5);
    link.pending[0]?.ack();
    await settle();
    expect(link.pending).toHaveLength(5);
    expect(link.mostPending).toBe(5);
  });

  test.each([
    [3, 3],
    [100, 8],
    [0, 1],
  ])('a cloud that takes %i at a time gets %i', async (receiveMaximum, expected) => {
    const cloud = new FakeCloud(receiveMaximum);
    const source = new FakeSource('readings', cloud);
    source.append(30);
    start(cloud, [source]);
    const link = await cloud.link();
    await settle();
    expect(link.pending).toHaveLength(expected);
  });

  test('one missing acknowledgement holds the checkpoint, and memory stays small', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(3_000);
    start(cloud, [source], { window: 16 });
    const link = await cloud.link();
    await settle();
    const [first] = link.pending;
    for (let i = 0; i < 3_000 && link.pending.length > 1; i++) {
      for (const arrival of link.pending.slice(1)) arrival.ack();
      await settle();
    }
    expect(source.handledCount).toBe(0);
    expect(source.mostHeld).toBeLessThanOrEqual(16 + 256);
    first?.ack();
    await settle();
    expect(source.handledCount).toBe(16);
    await drain(cloud, [source]);
  });

  test('a missing acknowledgement in one lane does not stop another', async () => {
    const cloud = new FakeCloud();
    const [alerts, readings] = ['alerts', 'readings'].map((name) => new FakeSource(name, cloud));
    if (alerts === undefined || readings === undefined) throw new Error('two were made');
    readings.append(500);
    start(cloud, [alerts, readings], { window: 4 });
    const link = await cloud.link();
    await settle();
    for (const arrival of link.pending.slice(1)) arrival.ack();
    await settle();
    expect(link.pending).toHaveLength(1);
    alerts.append(10);
    await settle();
    expect(link.pending.slice(1).map(({ stream }) => stream)).toEqual(Array(3).fill('alerts'));
  });
});

describe('order of the lanes', () => {
  test('the first lane that has something is served first', async () => {
    const cloud = new FakeCloud();
    const lanes = ['alerts', 'readings'].map((name) => new FakeSource(name, cloud, () => 0.999));
    for (const lane of lanes) lane.append(20);
    start(cloud, lanes, { window: 4 });
    await drain(cloud, lanes);
    const streams = cloud.arrived.map(({ stream }) => stream);
    expect(streams).toEqual([...Array(20).fill('alerts'), ...Array(20).fill('readings')]);
  });

  test('an alert overtakes the readings that wait', async () => {
    const cloud = new FakeCloud();
    const alerts = new FakeSource('alerts', cloud);
    const readings = new FakeSource('readings', cloud, () => 0.999);
    readings.append(100);
    start(cloud, [alerts, readings], { window: 4 });
    const link = await cloud.link();
    await settle();
    alerts.append(1);
    await settle();
    link.pending[0]?.ack();
    await settle();
    expect(link.pending.at(-1)?.stream).toBe('alerts');
  });

  test('forty lanes raise no warning', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on('warning', note);
    const cloud = new FakeCloud();
    const lanes = Array.from({ length: 40 }, (_, i) => new FakeSource(`s${i}`, cloud));
    const { uplink } = start(cloud, lanes);
    await cloud.link();
    await settle();
    await uplink.stop();
    await settle();
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });
});

describe('when the link is lost', () => {
  test('what was not acknowledged is sent again first, in order', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(10);
    start(cloud, [source], { window: 4 });
    const link = await cloud.link();
    await settle();
    link.pending[0]?.ack();
    // Acknowledged out of turn: the cloud has it, and gets it again since the row has a gap.
    link.pending[1]?.ack();
    await settle();
    expect(source.handledCount).toBe(1);
    link.end('cut off');
    cloud.arrived.length = 0;
    await drain(cloud, [source]);
    expect(cloud.arrived.map(({ identity }) => identity)).toEqual(source.identities().slice(1));
  });

  test('no stream holds a file open until the next one', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(5);
    start(cloud, [source]);
    const link = await cloud.link();
    await settle();
    cloud.away = true;
    link.end('cut off');
    await cloud.nextTry();
    expect([source.rewinds, cloud.links.length]).toEqual([1, 1]);
  });

  test('the status says so, and why, and since when', async () => {
    const cloud = new FakeCloud();
    cloud.away = true;
    const { uplink, clock, reasons } = start(cloud, [new FakeSource('readings', cloud)]);
    await cloud.nextTry();
    const down = { link: 'down', lastError: 'no route', stuck: [] };
    expect(uplink.status()).toEqual({ ...down, sinceMonoMs: 1_000 });
    clock.advance(5);
    cloud.away = false;
    const link = await cloud.link();
    const up = { link: 'up', lastError: undefined, stuck: [] };
    expect(uplink.status()).toEqual({ ...up, sinceMonoMs: 1_005 });
    clock.advance(5);
    cloud.away = true;
    link.end('cable pulled');
    await cloud.nextTry();
    expect(reasons).toEqual(['no route', 'cable pulled', 'no route']);
    expect(uplink.status()).toEqual({ ...down, sinceMonoMs: 1_010 });
  });

  test('waits grow until the cloud takes a record in its turn, whatever else', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(5);
    const backoff = new Backoff({ baseMs: 0, maxMs: 0, random: seededRandom(1) });
    const reset = vi.spyOn(backoff, 'reset');
    start(cloud, [source], { backoff });
    // From the third link on they go one at a time: one of them may be what ends the link.
    for (const pending of [5, 5, 1]) {
      const link = await cloud.link();
      await settle();
      expect(link.pending).toHaveLength(pending);
      // From the second link on all but the oldest are acknowledged: all will be sent again.
      if (cloud.links.length > 1) for (const { ack } of link.pending.slice(1)) ack();
      await settle();
      link.end('taken over');
    }
    expect(reset).not.toHaveBeenCalled();
    const link = await cloud.link();
    await settle();
    const [oldest, second] = source.identities();
    expect(link.pending.map(({ identity }) => identity)).toEqual([second]);
    link.pending[0]?.ack();
    await settle();
    expect(reset).toHaveBeenCalledOnce();
    expect(link.pending.map(({ identity }) => identity)).toEqual([oldest]);
  });
});

describe('stopping', () => {
  test('before the start, and twice', async () => {
    const { uplink } = uplinkOver(new FakeCloud(), []);
    await uplink.stop();
    await uplink.stop();
  });

  test('waits for acknowledgements on their way and publishes nothing more', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(20);
    const { uplink } = start(cloud, [source], { window: 4, graceMs: 600_000 });
    const link = await cloud.link();
    await settle();
    const stopped = uplink.stop();
    await settle();
    expect(link.closed).toBe(false);
    ackAll(link);
    await stopped;
    expect(source.handledCount).toBe(4);
    expect(cloud.arrived).toHaveLength(4);
    expect(link.closed).toBe(true);
    expect(uplink.status()).toMatchObject({ link: 'down', lastError: 'stopped' });
  });

  test('leaves no timer behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length;
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(4);
    const { uplink } = start(cloud, [source], { graceMs: 600_000 });
    const link = await cloud.link();
    await settle();
    const before = timers();
    const stopped = uplink.stop();
    ackAll(link);
    await stopped;
    expect(timers()).toBe(before);
  });

  test('does not wait longer than its grace', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(4);
    const { uplink } = start(cloud, [source], { graceMs: 20 });
    const link = await cloud.link();
    await settle();
    link.pending[0]?.ack();
    await uplink.stop();
    expect(source.handledCount).toBe(1);
    expect(link.closed).toBe(true);
    expect(link.pending).toEqual([]);
  });

  test('ends a link that is lost meanwhile', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(4);
    const { uplink } = start(cloud, [source], { graceMs: 600_000 });
    const link = await cloud.link();
    await settle();
    const stopped = uplink.stop();
    link.end('cut off');
    await stopped;
    expect(cloud.tries).toBe(1);
  });

  test('gives up a try to connect that hangs', async () => {
    const open: OpenLink = (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('given up')), { once: true });
      });
    const { uplink } = uplinkOver({ open }, []);
    uplink.start();
    await uplink.stop();
    expect(uplink.status()).toMatchObject({ link: 'down', lastError: 'stopped' });
  });

  test('closes a link that comes after all', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(1);
    let come = () => {};
    const late = new Promise<void>((resolve) => (come = resolve));
    const { uplink } = uplinkOver({ open: () => late.then(() => cloud.open()) }, [source]);
    uplink.start();
    const stopped = uplink.stop();
    come();
    await stopped;
    expect(cloud.links.map(({ closed }) => closed)).toEqual([true]);
    expect(cloud.arrived).toEqual([]);
  });

  test('cuts the wait for the next try short', async () => {
    const cloud = new FakeCloud();
    cloud.away = true;
    const backoff = new Backoff({ baseMs: 600_000, maxMs: 600_000, random: seededRandom(1) });
    const { uplink } = start(cloud, [], { backoff });
    await settle();
    await uplink.stop();
    expect(cloud.tries).toBe(1);
  });
});
