import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CloudLink } from '../../../src/uplink/cloud-link.ts';
import { type CloudOptions, mqttCloud } from '../../../src/uplink/mqtt-link.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { until } from '../../support/until.ts';
import { settle } from './fakes.ts';
import { ScriptedBroker } from './scripted-broker.ts';

const never = new AbortController().signal;
const session = { expirySeconds: 3_600, maxPacketBytes: 10_000 };
let broker: ScriptedBroker;
const links: CloudLink[] = [];

beforeEach(async () => {
  broker = new ScriptedBroker();
  await broker.open();
});

afterEach(async () => {
  for (const link of links.splice(0)) await link.close();
  await broker.close();
});

async function openLink(more: Partial<CloudOptions> = {}): Promise<CloudLink> {
  const open = mqttCloud({
    url: broker.url,
    clientId: 'gw',
    username: '',
    password: undefined,
    protocolVersion: 4,
    keepaliveSeconds: 60,
    connectTimeoutMs: 5_000,
    ackTimeoutMs: 5_000,
    clock: new FakeClock(),
    tls: {},
    session,
    ...more,
  });
  const link = await open(never);
  links.push(link);
  return link;
}

/** Takes messages when the test says so. */
function taker() {
  const taken: string[] = [];
  const waiting: Array<() => void> = [];
  return {
    taken,
    onCommand: ({ topic, payload }: { topic: string; payload: Uint8Array }) => {
      taken.push(`${topic} ${Buffer.from(payload).toString()}`);
      return new Promise<void>((resolve) => waiting.push(resolve));
    },
    next: () => waiting.shift()?.(),
  };
}

const of = (payload: string) => ({
  ...{ topic: 'up/x', payload: Buffer.from(payload), key: 'k', id: 'i', properties: {} },
});

describe.each([4, 5] as const)('MQTT %i', (protocolVersion) => {
  test('acknowledges in order, each when it was taken; records go on meanwhile', async () => {
    const link = await openLink({ protocolVersion });
    const { taken, onCommand, next } = taker();
    expect(await link.listen?.(['down/#'], onCommand)).toEqual([]);
    for (const text of ['1', '2', '3']) await broker.send('down/a', text);
    await until('the first is there', () => taken.length === 1);
    // Answers to what we publish come behind those that wait.
    await link.publish(of('record'));
    await link.publish(of('another'));
    expect([taken, broker.acked]).toEqual([['down/a 1'], []]);
    next();
    await until('the second is there', () => taken.length === 2);
    await until('the first is acknowledged', () => broker.acked.length === 1);
    next();
    await until('the third is there', () => taken.length === 3);
    next();
    await until('all are acknowledged', () => broker.acked.length === 3);
    expect(taken).toEqual(['down/a 1', 'down/a 2', 'down/a 3']);
    expect(broker.acked).toEqual(['1', '2', '3']);
  });

  test('what was not acknowledged comes again, and then what was sent since', async () => {
    const first = await openLink({ protocolVersion });
    const before = taker();
    await first.listen?.(['down/#'], before.onCommand);
    await broker.send('down/a', '1');
    await broker.send('down/a', '2');
    await until('the first is there', () => before.taken.length === 1);
    before.next();
    await until('the second is there', () => before.taken.length === 2);
    await until('the first is acknowledged', () => broker.acked.length === 1);
    broker.cut();
    await first.ended;
    // Taken, but nobody is left to be told.
    before.next();
    await settle();
    await broker.send('down/a', '3');
    const next = await openLink({ protocolVersion });
    // They come at once, and wait for a listener.
    await next.publish(of('record'));
    const after = taker();
    await next.listen?.(['down/#'], after.onCommand);
    for (const count of [1, 2]) {
      await until('the next is there', () => after.taken.length === count);
      after.next();
    }
    await until('all are acknowledged', () => broker.acked.length === 3);
    expect(after.taken).toEqual(['down/a 2', 'down/a 3']);
    expect(broker.heard()).toEqual(['record']);
  });

  test('nothing of ours is sent again by the session', async () => {
    broker.verdict = () => 'hold';
    const first = await openLink({ protocolVersion });
    await first.listen?.(['down/#'], taker().onCommand);
    const held = first.publish(of('unanswered')).catch(() => 'no answer');
    await broker.hears(1);
    broker.cut();
    expect(await held).toBe('no answer');
    broker.verdict = () => 'take';
    const next = await openLink({ protocolVersion });
    await next.publish(of('next'));
    await next.publish(of('more'));
    expect(broker.heard()).toEqual(['unanswered', 'next', 'more']);
    expect(broker.sessions).toEqual([true, true]);
  });

  test('a message that is not taken ends the link without an acknowledgement', async () => {
    const link = await openLink({ protocolVersion });
    await link.listen?.(['down/#'], () => Promise.reject(new Error('full')));
    await broker.send('down/a', '1');
    expect(await link.ended).toBe('a message was not taken: full');
    expect(broker.acked).toEqual([]);
  });

  test('a filter that is refused is named, and the others are listened on', async () => {
    broker.closed.add('secret/#');
    const link = await openLink({ protocolVersion });
    const { taken, onCommand, next } = taker();
    const refused = await link.listen?.(['secret/#', 'down/+'], onCommand);
    const reason = protocolVersion === 5 ? 'reason 0x87' : 'reason 0x80';
    expect(refused).toEqual([{ filter: 'secret/#', reason }]);
    await broker.send('secret/a', 'no');
    await broker.send('down/a', 'yes');
    await until('it is there', () => taken.length === 1);
    next();
    await until('it is acknowledged', () => broker.acked.length === 1);
    expect(taken).toEqual(['down/a yes']);
  });

  test('more than may be held wait, and all come', async () => {
    const link = await openLink({ protocolVersion });
    const seen: string[] = [];
    await link.listen?.(['down/#'], async ({ payload }) => {
      await settle(1);
      seen.push(Buffer.from(payload).toString());
    });
    const all = Array.from({ length: 200 }, (_, i) => String(i));
    await Promise.all(all.map((text) => broker.send('down/a', text)));
    await until('all are acknowledged', () => broker.acked.length === all.length);
    expect(seen).toEqual(all);
  });

  test('QoS 0 comes too', async () => {
    const link = await openLink({ protocolVersion });
    const { taken, onCommand } = taker();
    await link.listen?.(['down/#'], onCommand);
    await broker.send('down/a', '0', { qos: 0 });
    await until('it is there', () => taken.length === 1);
  });
});

test('a link that ends before the answer rejects the subscription', async () => {
  broker.onSubscribe = () => broker.cut();
  const link = await openLink();
  await expect(link.listen?.(['down/#'], taker().onCommand)).rejects.toThrow();
  await expect(link.listen?.(['down/#'], taker().onCommand)).rejects.toThrow();
});

test('without a downlink there is no session', async () => {
  const open = mqttCloud({
    ...{ url: broker.url, clientId: 'gw', username: '', password: undefined, protocolVersion: 5 },
    ...{ keepaliveSeconds: 60, connectTimeoutMs: 5_000, ackTimeoutMs: 5_000, tls: {} },
    clock: new FakeClock(),
  });
  links.push(await open(never));
  expect(broker.sessions).toEqual([false]);
});
