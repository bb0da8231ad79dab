import { afterEach, describe, expect, test, vi } from 'vitest';
import { Backoff } from '../../../src/base/backoff.ts';
import { seededRandom } from '../../../src/base/clock.ts';
import { CloudRefusal } from '../../../src/uplink/cloud-client.ts';
import type { Uplink } from '../../../src/uplink/uplink.ts';
import { ackAll, drain, FakeCloud, FakeConsumer, settle, uplinkOver } from './fakes.ts';

const running: Uplink[] = [];

function start(...given: Parameters<typeof uplinkOver>) {
  const made = uplinkOver(...given);
  running.push(made.uplink);
  made.uplink.start();
  return made;
}

afterEach(async () => {
  for (const uplink of running.splice(0)) await uplink.stop();
});

describe('when a stream gets no further', () => {
  test('a refused record is sent again first, in order, on the same link', async () => {
    const cloud = new FakeCloud();
    const consumer = new FakeConsumer('readings', cloud, () => 0.999);
    consumer.append(5);
    const { reasons, uplink } = start(cloud, [consumer]);
    const link = await cloud.link();
    await settle();
    cloud.arrived.length = 0;
    link.pending[1]?.refuse(new CloudRefusal(0x97));
    await settle();
    expect(link.closed).toBe(false);
    expect(reasons).toEqual(['the cloud refused a record with reason 0x97']);
    expect(uplink.status().stuck).toEqual([{ stream: 'readings', reason: reasons[0] }]);
    await drain(cloud, [consumer]);
    expect(cloud.arrived.map(({ identity }) => identity)).toEqual(consumer.identities());
    expect(uplink.status().stuck).toEqual([]);
  });

  test('refusals of one row are one refusal: one line, one rest', async () => {
    const cloud = new FakeCloud();
    const consumer = new FakeConsumer('readings', cloud, () => 0.999);
    consumer.append(5);
    const laneBackoff = new Backoff({ baseMs: 0, maxMs: 0, random: seededRandom(1) });
    const rests = vi.spyOn(laneBackoff, 'nextMs');
    const { reasons } = start(cloud, [consumer], { laneBackoff: () => laneBackoff });
    const link = await cloud.link();
    await settle();
    for (const { refuse } of [...link.pending]) refuse(new CloudRefusal(0x97));
    await settle();
    expect(reasons).toHaveLength(1);
    expect(rests).toHaveBeenCalledOnce();
  });

  test('the others go on while it rests, and nothing of it is sent', async () => {
    const cloud = new FakeCloud();
    const [alerts, readings] = ['alerts', 'readings'].map((name) => new FakeConsumer(name, cloud));
    if (alerts === undefined || readings === undefined) throw new Error('two were made');
    alerts.append(3);
    const long = () => new Backoff({ baseMs: 600_000, maxMs: 600_000, random: seededRandom(1) });
    start(cloud, [alerts, readings], { laneBackoff: long });
    const link = await cloud.link();
    await settle();
    link.pending[0]?.refuse(new CloudRefusal(0x87));
    ackAll(link);
    readings.append(20);
    await drain(cloud, [readings]);
    expect(link.closed).toBe(false);
    expect(alerts.backlog()).toBe(3);
    expect(link.pending).toEqual([]);
  });

  test('a record that ends every link lets the other streams have theirs', async () => {
    const cloud = new FakeCloud();
    const [alerts, readings] = ['alerts', 'readings'].map((name) => new FakeConsumer(name, cloud));
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

  test('a refusal while the lane waits for the next record wakes it', async () => {
    const cloud = new FakeCloud();
    const consumer = new FakeConsumer('readings', cloud);
    consumer.append(1);
    start(cloud, [consumer]);
    const link = await cloud.link();
    await settle();
    link.pending[0]?.refuse(new CloudRefusal(0x80));
    await settle();
    expect(link.pending).toHaveLength(1);
  });

  test('a log that cannot be read is read again, on the same link', async () => {
    const cloud = new FakeCloud();
    const consumer = new FakeConsumer('readings', cloud);
    consumer.append(3);
    vi.spyOn(consumer, 'read').mockRejectedValueOnce(new Error('EIO'));
    const { reasons } = start(cloud, [consumer]);
    await drain(cloud, [consumer]);
    expect(reasons).toEqual(['the log cannot be read: EIO']);
    expect(cloud.links).toHaveLength(1);
  });
});
