import { setTimeout as wait } from 'node:timers/promises';
import kafkajs, { type Consumer, type EachBatchPayload, type KafkaMessage } from 'kafkajs';
import { isEncrypted, serversOf } from '../../src/uplink/uplink-url.ts';
import { aborted, type Intake, type Source, type SourceOptions } from './source.ts';

/** A consumer group of Kafka: offsets are committed there after the rows are here. */

const DEFAULT_PORT = 9092;
const DEFAULT_TOPIC = '/^headgate\\./';
const CONCURRENT_PARTITIONS = 4;
/** Well within the session timeout of 30 s: the group must not take a waiting sink for dead. */
const HEARTBEAT_MS = 3000;

/** `/…/` is a pattern. */
export function kafkaTopics(topic: string): Array<string | RegExp> {
  const pattern = /^\/(.*)\/$/.exec(topic)?.[1];
  return pattern === undefined ? topic.split(',') : [new RegExp(pattern)];
}

function consumerOf(options: SourceOptions): Consumer {
  const { url, name, username, password = '', sasl, tls } = options;
  const kafka = new kafkajs.Kafka({
    brokers: serversOf(url, DEFAULT_PORT),
    clientId: name,
    logLevel: kafkajs.logLevel.NOTHING,
    ...(isEncrypted(url) ? { ssl: { ...tls } } : {}),
    ...(username === undefined
      ? {}
      : { sasl: { mechanism: sasl, username, password } as kafkajs.SASLOptions }),
  });
  // A consumer that has failed is given up; the next one is new.
  return kafka.consumer({ groupId: name, retry: { restartOnFailure: async () => false } });
}

function propertiesOf({ headers = {} }: KafkaMessage): Record<string, string> {
  const entries = Object.entries(headers).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, String(Array.isArray(value) ? value[0] : value)]),
  );
}

/** True once every message of the batch is committed. */
async function takeBatch({ batch, heartbeat }: EachBatchPayload, intake: Intake): Promise<boolean> {
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
    const tick = wait(HEARTBEAT_MS, undefined, { signal: timer.signal }).catch(() => undefined);
    const isStored = await Promise.race([all, tick]);
    timer.abort();
    if (isStored !== undefined) return isStored;
    await heartbeat();
  }
}

async function run(options: SourceOptions, intake: Intake, signal: AbortSignal): Promise<void> {
  const { topic = DEFAULT_TOPIC, onConnect } = options;
  const consumer = consumerOf(options);
  const crashed = new Promise<never>((_, reject) => {
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
  });
  crashed.catch(() => {});
  try {
    await consumer.connect();
    await consumer.subscribe({ topics: kafkaTopics(topic), fromBeginning: true });
    const eachBatch = async (payload: EachBatchPayload) => {
      const { batch, resolveOffset } = payload;
      if (!(await takeBatch(payload, intake))) return;
      resolveOffset(batch.lastOffset());
      const offset = String(BigInt(batch.lastOffset()) + 1n);
      const { topic: name, partition } = batch;
      await consumer.commitOffsets([{ topic: name, partition, offset }]);
    };
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: CONCURRENT_PARTITIONS,
      eachBatch,
    });
    onConnect(topic);
    await Promise.race([crashed, aborted(signal)]);
  } finally {
    // Waits for the batches that are being taken.
    await consumer.disconnect();
  }
}

export function kafkaSource(options: SourceOptions): Source {
  return { run: (intake, signal) => run(options, intake, signal) };
}
