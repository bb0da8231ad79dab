import { describe, expect, test, vi } from 'vitest';
import { Backoff } from '../../../src/base/backoff.ts';
import { seededRandom } from '../../../src/base/clock.ts';
import { CloudRefusal } from '../../../src/uplink/cloud-link.ts';
import { ackAll, drain, FakeCloud, FakeSource, settle } from './fakes.ts';
import { start } from './started-uplinks.ts';

describe('when a stream gets no further', () => {
  test('a refused record is sent again first, in order, on the same link', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud, () => 0.999);
    source.append(5);
    const { reasons, uplink } = start(cloud, [source]);
    const link = await cloud.link();
    await settle();
    cloud.arrived.length = 0;
    link.pending[1]?.refuse(
      new CloudRefusal('later', 'the cloud refused a record with reason 0x97'),
    );
    await settle();
    expect(link.closed).toBe(false);
    expect(reasons).toEqual(['the cloud refused a record with reason 0x97']);
    expect(uplink.status().stuck).toEqual([{ stream: 'readings', reason: reasons[0] }]);
    await drain(cloud, [source]);
    expect(cloud.arrived.map(({ identity }) => identity)).toEqual(source.identities());
    expect(uplink.status().stuck).toEqual([]);
  });

  test('refusals of one row are one refusal: one line, one rest', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud, () => 0.999);
    source.append(5);
    const laneBackoff = new Backoff({ baseMs: 0, maxMs: 0, random: seededRandom(1) });
    const rests = vi.spyOn(laneBackoff, 'nextMs');
    const { reasons } = start(cloud, [source], { laneBackoff: () => laneBackoff });
    const link = await cloud.link();
    await settle();
    for (const { refuse } of [...link.pending])
      refuse(new CloudRefusal('later', 'the cloud refused a record with reason 0x97'));
    await settle();
    expect(reasons).toHaveLength(1);
    expect(rests).toHaveBeenCalledOnce();
  });

  test('the others go on while it rests, and nothing of it is sent', async () => {
    const cloud = new FakeCloud();
    const [alerts, readings] = ['alerts', 'readings'].map((name) => new FakeSource(name, cloud));
    if (alerts === undefined || readings === undefined) throw new Error('two were made');
    alerts.append(3);
    const long = () => new Backoff({ baseMs: 600_000, maxMs: 600_000, random: seededRandom(1) });
    start(cloud, [alerts, readings], { laneBackoff: long });
    const link = await cloud.link();
    await settle();
    link.pending[0]?.refuse(
      new CloudRefusal('later', 'the cloud refused a record with reason 0x97'),
    );
    ackAll(link);
    readings.append(20);
    await drain(cloud, [readings]);
    expect(link.closed).toBe(false);
    expect(alerts.backlog()).toBe(3);
    expect(link.pending).toEqual([]);
  });

  test('a record that ends every link lets the other streams have theirs', async () => {
    const cloud = new FakeCloud();
    const [alerts, readings] = ['alerts', 'readings'].map((name) => new FakeSource(name, cloud));
    if (alerts === undefined || readings === undefined) throw new Error('two were made');
    alerts.append(1);
    readings.append(20);
    const long = () => new Backoff({ baseMs: 600_000, maxMs: 600_000, random: seededRandom(1) });
    start(cloud, [alerts, readings], { window: 1, laneBackoff: long });
    const link = await cloud.link();
    await settle();
    expect(link.pending.map(({ stream }) => stream)).toEqual(['alerts']);
    link.end('the packet is too large');
    await drain(cloud, [readings]);
    expect(cloud.links).toHaveLength(2);
    expect(alerts.backlog()).toBe(1);
  });

  test('a record that ends every link is named from the second on, until it is taken', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(3);
    const { uplink } = start(cloud, [source]);
    const reason = 'the link ended before an answer: the packet is too large';
    for (const stuck of [[], [{ stream: 'readings', reason }], [{ stream: 'readings', reason }]]) {
      const link = await cloud.link();
      await settle();
      link.end('the packet is too large');
      await settle();
      expect(uplink.status().stuck).toEqual(stuck);
    }
    await drain(cloud, [source]);
    expect(uplink.status().stuck).toEqual([]);
  });

  test('a stream that moved on an earlier link only is named as well', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud, () => 0.999);
    source.append(20);
    const { uplink } = start(cloud, [source]);
    for (const stuckCount of [0, 0, 1]) {
      const link = await cloud.link();
      await settle();
      if (source.handledCount === 0) link.pending[0]?.ack();
      await settle();
      link.end('cut off');
      await settle();
      expect(uplink.status().stuck).toHaveLength(stuckCount);
    }
  });

  test('a link that ends while the lane rests changes nothing about that', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(3);
    const laneBackoff = new Backoff({ baseMs: 0, maxMs: 0, random: seededRandom(1) });
    vi.spyOn(laneBackoff, 'nextMs').mockReturnValueOnce(600_000);
    const { uplink } = start(cloud, [source], { laneBackoff: () => laneBackoff });
    const sent: number[] = [];
    for (let i = 0; i < 3; i++) {
      const link = await cloud.link();
      await settle();
      sent.push(link.pending.length);
      link.end('cut off');
      await settle();
    }
    expect(sent).toEqual([3, 0, 3]);
    expect(uplink.status().stuck).toHaveLength(1);
  });

  test('a refusal gives its place in the window to another stream', async () => {
    const cloud = new FakeCloud();
    const [alerts, readings] = ['alerts', 'readings'].map(
      (name) => new FakeSource(name, cloud, () => 0.999),
    );
    if (alerts === undefined || readings === undefined) throw new Error('two were made');
    alerts.append(2);
    readings.append(1);
    const long = () => new Backoff({ baseMs: 600_000, maxMs: 600_000, random: seededRandom(1) });
    start(cloud, [alerts, readings], { window: 1, laneBackoff: long });
    const link = await cloud.link();
    await settle();
    link.pending[0]?.refuse(
      new CloudRefusal('later', 'the cloud refused a record with reason 0x97'),
    );
    await settle();
    expect(link.pending.map(({ stream }) => stream)).toEqual(['readings']);
  });

  test('what was read before a refusal is not sent after it', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud, () => 0.999);
    source.append(2);
    const read = source.read.bind(source);
    let come = () => {};
    const slow = new Promise<void>((resolve) => (come = resolve));
    let reads = 0;
    vi.spyOn(source, 'read').mockImplementation(async (...given) => {
      reads += 1;
      const isSlow = reads === 2;
      const records = await read(...given);
      if (isSlow) await slow;
      return records;
    });
    start(cloud, [source]);
    const link = await cloud.link();
    await settle();
    source.append(2);
    await settle();
    expect(link.pending).toHaveLength(2);
    for (const { refuse } of [...link.pending])
      refuse(new CloudRefusal('later', 'the cloud refused a record with reason 0x97'));
    await settle();
    cloud.arrived.length = 0;
    come();
    await drain(cloud, [source]);
    expect(cloud.arrived.map(({ identity }) => identity)).toEqual(source.identities());
  });

  test('a refusal while the lane waits for the next record wakes it', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(1);
    start(cloud, [source]);
    const link = await cloud.link();
    await settle();
    link.pending[0]?.refuse(
      new CloudRefusal('later', 'the cloud refused a record with reason 0x80'),
    );
    await settle();
    expect(link.pending).toHaveLength(1);
  });

  test('a log that cannot be read is read again, on the same link', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud);
    source.append(3);
    vi.spyOn(source, 'read').mockRejectedValueOnce(new Error('EIO'));
    const { reasons } = start(cloud, [source]);
    await drain(cloud, [source]);
    expect(reasons).toEqual(['the log cannot be read: EIO']);
    expect(cloud.links).toHaveLength(1);
  });
});
