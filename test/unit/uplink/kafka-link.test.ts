import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import type { CloudLink, CloudMessage } from '../../../src/uplink/cloud-link.ts';
import { CloudRefusal } from '../../../src/uplink/cloud-link.ts';
import { type KafkaOptions, kafkaCloud } from '../../../src/uplink/kafka-link.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { ScriptedKafka } from '../../support/scripted-kafka.ts';

// What the driver makes of a broker's answers. With real brokers: e2e/kafka-link.debian.test.ts.

const links: CloudLink[] = [];
const brokers: ScriptedKafka[] = [];

afterEach(async () => {
  for (const link of links.splice(0)) await link.close();
  for (const broker of brokers.splice(0)) broker.close();
});

async function setUp(errorOf: ScriptedKafka['errorOf'], more: Partial<KafkaOptions> = {}) {
  const broker = await ScriptedKafka.start();
  brokers.push(broker);
  broker.errorOf = errorOf;
  const open = kafkaCloud({
    ...{ url: `kafka://127.0.0.1:${broker.port}`, clientId: 'test', username: '' },
    ...{ password: undefined, saslMechanism: 'plain', keepaliveSeconds: 30 },
    ...{ connectTimeoutMs: 2000, ackTimeoutMs: 20_000, clock: systemClock, tls: {} },
    ...more,
  });
  const link = await open(new AbortController().signal);
  links.push(link);
  return { broker, link };
}

let next = 0;

function message(topic: string, bytes = 10): CloudMessage {
  next += 1;
  const id = `gw/a1b2/readings/0/${next}`;
  return { topic, payload: Buffer.alloc(bytes), key: 'd1', id, properties: {} };
}

async function kindsOf(sent: ReadonlyArray<Promise<void>>): Promise<string[]> {
  return (await Promise.allSettled(sent)).map((one) => {
    if (one.status === 'fulfilled') return 'taken';
    return one.reason instanceof CloudRefusal ? one.reason.kind : `lost: ${String(one.reason)}`;
  });
}

describe('a refusal of the broker', () => {
  it.each([
    [10, 'too-large', 'MESSAGE_TOO_LARGE'],
    [18, 'too-large', 'RECORD_LIST_TOO_LARGE'],
    [17, 'never', 'INVALID_TOPIC_EXCEPTION'],
    [29, 'never', 'TOPIC_AUTHORIZATION_FAILED'],
    [31, 'never', 'CLUSTER_AUTHORIZATION_FAILED'],
    [32, 'never', 'INVALID_TIMESTAMP'],
    [43, 'never', 'UNSUPPORTED_FOR_MESSAGE_FORMAT'],
    [87, 'never', 'INVALID_RECORD'],
    [2, 'later', 'CORRUPT_MESSAGE'],
    [3, 'later', 'UNKNOWN_TOPIC_OR_PARTITION'],
    [5, 'later', 'LEADER_NOT_AVAILABLE'],
    [6, 'later', 'NOT_LEADER_FOR_PARTITION'],
    [7, 'later', 'REQUEST_TIMED_OUT'],
    [19, 'later', 'NOT_ENOUGH_REPLICAS'],
    [20, 'later', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND'],
    [56, 'later', 'KAFKA_STORAGE_ERROR'],
    [999, 'later', 'UNKNOWN'],
  ])('%i is %s: %s', async (code, kind, name) => {
    const { broker, link } = await setUp(() => code);
    const sent = link.publish(message('t'));
    await expect(sent).rejects.toBeInstanceOf(CloudRefusal);
    await expect(sent).rejects.toMatchObject({ kind, message: expect.stringContaining(name) });
    // The link is as good as before.
    expect(broker.requests).toHaveLength(1);
    broker.errorOf = () => 0;
    expect(await kindsOf([link.publish(message('t'))])).toEqual(['taken']);
  });

  it('for now, of one topic of a request, is one of all that went with it', async () => {
    const { broker, link } = await setUp(({ topic }) => (topic === 'slow' ? 19 : 0));
    // What the others were told is not known: they come again, under the same identity.
    const all = ['a', 'slow', 'a'].map((topic) => link.publish(message(topic)));
    expect(await kindsOf(all)).toEqual(['later', 'later', 'later']);
    expect(broker.requests).toHaveLength(1);
    // Sent alone, the others go through.
    expect(await kindsOf([link.publish(message('a'))])).toEqual(['taken']);
    expect(await kindsOf([link.publish(message('slow'))])).toEqual(['later']);
  });

  it('of the largest alone, where its request was too large as a whole', async () => {
    const { link } = await setUp(({ bytes }) => (bytes > 3_000 ? 18 : 0));
    const all = [1_000, 1_000, 4_000, 1_000].map((bytes) => link.publish(message('t', bytes)));
    expect(await kindsOf(all)).toEqual(['taken', 'taken', 'too-large', 'taken']);
  });

  it('does not stay: a topic that was refused for good is asked for again', async () => {
    const { broker, link } = await setUp(() => 29);
    expect(await kindsOf([link.publish(message('t'))])).toEqual(['never']);
    broker.errorOf = () => 0;
    expect(await kindsOf([link.publish(message('t'))])).toEqual(['taken']);
  });
});

it('a refusal is an answer: the link is not given up for want of one', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    const clock = new FakeClock();
    const { broker, link } = await setUp(() => 19, { clock });
    expect(await kindsOf([link.publish(message('t'))])).toEqual(['later']);
    clock.advance(60_000);
    vi.advanceTimersByTime(60_000);
    broker.errorOf = () => 0;
    expect(await kindsOf([link.publish(message('t'))])).toEqual(['taken']);
  } finally {
    vi.useRealTimers();
  }
});

describe('a broker that does not answer', () => {
  it('ends the link after the time for an answer; nothing is taken for refused', async () => {
    const { broker, link } = await setUp(() => 0, { ackTimeoutMs: 300 });
    expect(await kindsOf([link.publish(message('t'))])).toEqual(['taken']);
    broker.isMute = true;
    const all = [message('t'), message('t')].map((one) => link.publish(one));
    const kinds = await kindsOf(all);
    expect(kinds.every((kind) => kind.startsWith('lost: '))).toBe(true);
    expect(await link.ended).toMatch(/no acknowledgement within 300 ms|timed out/);
    expect(await kindsOf([link.publish(message('t'))])).toEqual([expect.stringMatching(/^lost/)]);
  });

  it('ends it also by the clock of the client', async () => {
    const { broker, link } = await setUp(() => 0, { ackTimeoutMs: 300, clock: new FakeClock() });
    await link.publish(message('t'));
    broker.isMute = true;
    expect(await kindsOf([link.publish(message('t'))])).toEqual([expect.stringMatching(/^lost/)]);
    expect(await link.ended).toMatch(/timed out/);
  });
});
