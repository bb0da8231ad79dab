import { setTimeout as wait } from 'node:timers/promises';
import kafkajs, {
  type Admin,
  type Consumer,
  type EachBatchPayload,
  type KafkaMessage,
} from 'kafkajs';
import { isEncrypted, serversOf } from '../../src/uplink/uplink-url.ts';
import { aborted, type Intake, type Source, type SourceOptions } from './source.ts';

/** A consumer group of Kafka: offsets are committed there after the rows are here. */

const DEFAULT_PORT = 9092;
const DEFAULT_TOPIC = '/^headgate[.-]/';
/** How soon a topic that is new and fits the pattern is read: a gateway makes its own. */
const TOPICS_EVERY_MS = 10_000;
const CONCURRENT_PARTITIONS = 4;
/** So many heartbeats within `takeoverMs`: the group must not take a waiting sink for dead. */
const HEARTBEATS = 10;

/** `/…/` is a pattern; undefined if these are names. */
function patternOf(topic: string): RegExp | undefined {
  const pattern = /^\/(.*)\/$/.exec(topic)?.[1];
  return pattern === undefined ? undefined : new RegExp(pattern);
}

function clientOf(options: SourceOptions): InstanceType<typeof kafkajs.Kafka> {
  const { url, name, username, password = '', sasl, tls } = options;
  return new kafkajs.Kafka({
    brokers: serversOf(url, DEFAULT_PORT),
    clientId: name,
    logLevel: kafkajs.logLevel.NOTHING,
    ...(isEncrypted(url) ? { ssl: { ...tls } } : {}),
    ...(username === undefined
      ? {}
      : { sasl: { mechanism: sasl, username, password } as kafkajs.SASLOptions }),
  });
}

function propertiesOf({ headers = {} }: KafkaMessage): Record<string, string> {
  const entries = Object.entries(headers).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, String(Array.isArray(value) ? value[0] : value)]),
  );
}

/** True once every message of the batch is committed. */
async function takeBatch(
  { batch, heartbeat }: EachBatchPayload,
  intake: Intake,
  heartbeatMs: number,
): Promise<boolean> {
  const { topic } = batch;
  const takes: Promise<boolean>[] = [];
  const settled = async () => {
    for (const message of batch.messages) {
      await intake.room();
      const payload = message.value ?? Buffer.alloc(0);
      takes.push(intake.take({ topic, payload, properties: propertiesOf(message) }));
    }
    return (await Promise.all(takes)).every((isStored) => isStored);
  };
  const all = settled();
  for (;;) {
    const timer = new AbortController();
    const tick = wait(heartbeatMs, undefined, { signal: timer.signal }).catch(() => undefined);
    const isStored = await Promise.race([all, tick]);
    timer.abort();
    if (isStored !== undefined) return isStored;
    await heartbeat();
  }
}

async function consume(
  consumer: Consumer,
  topics: readonly string[],
  intake: Intake,
  heartbeatMs: number,
): Promise<void> {
  await consumer.connect();
  await consumer.subscribe({ topics: [...topics], fromBeginning: true });
  const eachBatch = async (payload: EachBatchPayload) => {
    const { batch, resolveOffset } = payload;
    if (!(await takeBatch(payload, intake, heartbeatMs))) return;
    resolveOffset(batch.lastOffset());
    const offset = String(BigInt(batch.lastOffset()) + 1n);
    const { topic, partition } = batch;
    await consumer.commitOffsets([{ topic, partition, offset }]);
  };
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    partitionsConsumedConcurrently: CONCURRENT_PARTITIONS,
    eachBatch,
  });
}

/** Resolves once there is a topic that fits and is not `known`, or `signal` aborts. */
async function newTopic(
  admin: Admin,
  pattern: RegExp,
  known: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const isNew = (name: string) => pattern.test(name) && !known.includes(name);
  while (!signal.aborted && !(await admin.listTopics()).some(isNew)) {
    await wait(TOPICS_EVERY_MS, undefined, { signal }).catch(() => {
      // Stopped; the loop sees it.
    });
  }
}

/** The client looks at a pattern only when it subscribes: a topic more, and it begins anew. */
async function run(options: SourceOptions, intake: Intake, signal: AbortSignal): Promise<void> {
  const { topic = DEFAULT_TOPIC, name, onConnect, takeoverMs: sessionTimeout } = options;
  const heartbeatInterval = sessionTimeout / HEARTBEATS;
  const kafka = clientOf(options);
  const admin = kafka.admin();
  // A consumer that has failed is given up; the next one is new.
  const retry = { restartOnFailure: async () => false };
  const consumer = kafka.consumer({
    ...{ groupId: name, retry, sessionTimeout, heartbeatInterval },
  });
  const crashed = new Promise<never>((_, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
  });
  crashed.catch(() => {});
  const over = new AbortController();
  const ends = [crashed, aborted(signal)];
  try {
    const pattern = patternOf(topic);
    let topics = topic.split(',');
    if (pattern !== undefined) {
      await admin.connect();
      topics = (await admin.listTopics()).filter((found) => pattern.test(found));
      const either = AbortSignal.any([signal, over.signal]);
      const news = newTopic(admin, pattern, topics, either);
      news.catch(() => {});
      ends.push(news);
    }
    if (topics.length > 0) await consume(consumer, topics, intake, heartbeatInterval);
    onConnect(topics.length > 0 ? topics.join(', ') : `no topic yet that fits ${topic}`);
    await Promise.race(ends);
  } finally {
    over.abort();
    // Waits for the batches that are being taken.
    await consumer.disconnect();
    await admin.disconnect();
  }
}

export function kafkaSource(options: SourceOptions): Source {
  return { run: (intake, signal) => run(options, intake, signal) };
}
