import { describe, expect, test, vi } from 'vitest';
import { Backoff } from '../../../src/base/backoff.ts';
import { seededRandom } from '../../../src/base/clock.ts';
import { CloudRefusal } from '../../../src/uplink/cloud-link.ts';
import { ackAll, drain, FakeCloud, FakeSource, settle } from './fakes.ts';
import { start } from './started-uplinks.ts';

const FIRST = 'gw/a1b2/readings/0/0';
const NEVER = new CloudRefusal('never', 'the cloud refused a record with reason 0x87');
const LATER = new CloudRefusal('later', 'the cloud refused a record with reason 0x97');

/** Answers all that is there now, those of `refused` with that refusal. */
async function answer(cloud: FakeCloud, refusal: CloudRefusal, refused: (of: string) => boolean) {
  const link = await cloud.link();
  for (const { identity, ack, refuse } of [...link.pending]) {
    if (refused(identity)) refuse(refusal);
    else ack();
  }
  await settle(10);
}

describe('when one record is the cause', () => {
  test('it is parked once the cloud has taken another, and the stream goes on', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud, () => 0.999);
    source.append(6);
    const { uplink, counters, reasons } = start(cloud, [source]);
    const link = await cloud.link();
    await settle();
    link.pending[0]?.refuse(NEVER);
    await settle();
    // Alone, and again: a refusal says nothing about the record while none is taken.
    const [, second] = source.identities();
    const last = () => link.pending.at(-1);
    for (const identity of [FIRST, second, FIRST]) {
      expect(last()?.identity).toBe(identity);
      expect([...source.parked]).toEqual([]);
      expect(uplink.status().stuck).toHaveLength(1);
      if (identity === FIRST) last()?.refuse(NEVER);
      else last()?.ack();
      await settle(10);
    }
    expect([...source.parked]).toEqual([FIRST]);
    await drain(cloud, [source]);
    expect(cloud.acked).toEqual(new Set(source.identities().slice(1)));
    expect([counters.forwarded, cloud.links.length]).toEqual([5, 1]);
    expect(uplink.status().stuck).toEqual([]);
    expect(reasons).toEqual([NEVER, NEVER, NEVER].map(({ message }) => message));
  });

  test('none is parked while the cloud refuses all of them: the lane rests', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud, () => 0.999);
    source.append(20);
    const laneBackoff = new Backoff({ baseMs: 0, maxMs: 0, random: seededRandom(1) });
    const rests = vi.spyOn(laneBackoff, 'nextMs');
    const { uplink } = start(cloud, [source], { laneBackoff: () => laneBackoff });
    for (let i = 0; i < 100; i++) await answer(cloud, NEVER, () => true);
    expect(rests.mock.calls.length).toBeGreaterThan(5);
    expect([...source.parked]).toEqual([]);
    expect(source.handledCount).toBe(0);
    expect(uplink.status().stuck).toEqual([{ stream: 'readings', reason: NEVER.message }]);
    // In the middle of a look, too.
    await drain(cloud, [source]);
    expect([...source.parked]).toEqual([]);
    expect(uplink.status().stuck).toEqual([]);
  });

  test('one that was refused for a while is not parked when the others are taken', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud, () => 0.999);
    source.append(6);
    start(cloud, [source]);
    await settle();
    // So often that it is looked at alone, and there once more: then the quota is there again.
    for (let i = 0; i < 6; i++) await answer(cloud, LATER, (identity) => identity === FIRST);
    await drain(cloud, [source]);
    expect([...source.parked]).toEqual([]);
    expect(cloud.acked).toEqual(new Set(source.identities()));
  });

  test('one that the cloud asks to be patient with is waited for, and never parked', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud, () => 0.999);
    source.append(6);
    const laneBackoff = new Backoff({ baseMs: 0, maxMs: 0, random: seededRandom(1) });
    const rests = vi.spyOn(laneBackoff, 'nextMs');
    const { uplink } = start(cloud, [source], { laneBackoff: () => laneBackoff });
    await settle();
    // One partition lacks its replicas, say, and the others are as good as ever.
    for (let i = 0; i < 20; i++) await answer(cloud, LATER, (identity) => identity === FIRST);
    rests.mockClear();
    cloud.arrived.length = 0;
    for (let i = 0; i < 200; i++) await answer(cloud, LATER, (identity) => identity === FIRST);
    expect([...source.parked]).toEqual([]);
    expect(uplink.status().stuck).toEqual([{ stream: 'readings', reason: LATER.message }]);
    // Alone, a rest each time: what it costs is one publish, and not what comes after it.
    expect(new Set(cloud.arrived.map(({ identity }) => identity))).toEqual(new Set([FIRST]));
    expect(rests.mock.calls.length).toBe(cloud.arrived.length);
    await drain(cloud, [source]);
    expect([...source.parked]).toEqual([]);
    expect(cloud.acked).toEqual(new Set(source.identities()));
    expect(uplink.status().stuck).toEqual([]);
  });

  test('one that is refused without a reason is parked after three refusals', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud, () => 0.999);
    source.append(6);
    const { uplink } = start(cloud, [source]);
    await settle();
    const unclear = new CloudRefusal('unclear', 'the cloud refused a record with reason 0x80');
    for (let i = 0; i < 60 && source.parked.size === 0; i++) {
      await answer(cloud, unclear, (identity) => identity === FIRST);
    }
    expect([...source.parked]).toEqual([FIRST]);
    // Five times with the others, once before another one was taken alone, and three after that.
    expect(cloud.doubted.get(FIRST)).toBe(9);
    await drain(cloud, [source]);
    expect(cloud.acked).toEqual(new Set(source.identities().slice(1)));
    expect(uplink.status().stuck).toEqual([]);
  });

  test('one that ends every link is parked after three, and others are heard before', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud, () => 0.999);
    source.append(6);
    const { uplink } = start(cloud, [source]);
    const sentAlone: string[] = [];
    for (let i = 0; i < 40 && source.backlog() > 0; i++) {
      const link = await cloud.link();
      await settle();
      const [one] = link.pending;
      if (link.pending.length === 1 && one !== undefined) sentAlone.push(one.identity);
      if (link.pending.some(({ identity }) => identity === FIRST)) link.end('too large a packet');
      else ackAll(link);
      await settle(10);
    }
    const [first, second] = source.identities();
    expect(sentAlone.slice(0, 4)).toEqual([first, second, first, first]);
    expect([...source.parked]).toEqual([FIRST]);
    expect(cloud.acked).toEqual(new Set(source.identities().slice(1)));
    expect(uplink.status().stuck).toEqual([]);
  });

  test('one that is too large alone is parked at once; its row is kept', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud, () => 0.999);
    source.append(4);
    const { counters } = start(cloud, [source]);
    const link = await cloud.link();
    await settle();
    const tooLarge = new CloudRefusal('too-large', 'the cloud refused a record with reason 0x95');
    link.pending[2]?.refuse(tooLarge);
    await settle();
    const third = source.identities()[2];
    expect([...source.parked]).toEqual([third]);
    ackAll(link);
    await settle();
    expect(source.backlog()).toBe(0);
    expect(cloud.arrived.map(({ identity }) => identity)).toEqual(source.identities());
    expect(counters.forwarded).toBe(3);
  });

  test('one that is too large when it is looked at alone is parked', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud, () => 0.999);
    source.append(1);
    const laneBackoff = new Backoff({ baseMs: 0, maxMs: 0, random: seededRandom(1) });
    const rests = vi.spyOn(laneBackoff, 'nextMs');
    const { uplink } = start(cloud, [source], { laneBackoff: () => laneBackoff });
    await settle();
    await answer(cloud, NEVER, () => true);
    await answer(cloud, new CloudRefusal('too-large', 'too large'), () => true);
    expect([...source.parked]).toEqual([FIRST]);
    expect(uplink.status().stuck).toEqual([]);
    expect(rests).not.toHaveBeenCalled();
  });

  test('one that cannot be made a dead letter is sent again, after a rest', async () => {
    const cloud = new FakeCloud();
    const source = new FakeSource('readings', cloud, () => 0.999);
    source.append(3);
    const beforePark = vi.fn().mockRejectedValueOnce(new Error('ENOSPC')).mockResolvedValue(0);
    const { uplink } = start(cloud, [source], { beforePark });
    const link = await cloud.link();
    await settle();
    const tooLarge = new CloudRefusal('too-large', 'too large');
    link.pending[0]?.refuse(tooLarge);
    await settle();
    expect([...source.parked]).toEqual([]);
    const reason = 'too large; it could not be made a dead letter: ENOSPC';
    expect(uplink.status().stuck).toEqual([{ stream: 'readings', reason }]);
    await answer(cloud, tooLarge, (identity) => identity === FIRST);
    expect([...source.parked]).toEqual([FIRST]);
    await drain(cloud, [source]);
    expect(uplink.status().stuck).toEqual([]);
  });
});
