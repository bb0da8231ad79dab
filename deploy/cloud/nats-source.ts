import {
  AckPolicy,
  type ConsumerMessages,
  DeliverPolicy,
  type JsMsg,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import { connect, type MsgHdrs, type NatsConnection, nanos } from '@nats-io/transport-node';
import { isEncrypted, serversOf } from '../../src/uplink/uplink-url.ts';
import { aborted, type Intake, Outstanding, type Source, type SourceOptions } from './source.ts';

/** A durable pull consumer of a JetStream stream: the server remembers what is acknowledged. */

const DEFAULT_PORT = 4222;
const DEFAULT_SUBJECT = 'headgate.>';
/** Delivered again if it is not acknowledged by then, which the key makes harmless. */
const ACK_WAIT_MS = 300_000;
const MAX_ACK_PENDING = 1000;

function connected({ url, name, username, password, tls }: SourceOptions): Promise<NatsConnection> {
  const isToken = username === undefined;
  return connect({
    servers: serversOf(url, DEFAULT_PORT),
    name,
    reconnect: false,
    ignoreClusterUpdates: true,
    ...(isToken ? {} : { user: username }),
    ...(password === undefined ? {} : isToken ? { token: password } : { pass: password }),
    ...(isEncrypted(url) ? { tls: { ...tls } } : {}),
  });
}

/** Makes the consumer if it is not there; one with other settings is brought up to these. */
async function consumed(link: NatsConnection, options: SourceOptions): Promise<ConsumerMessages> {
  const { topic = DEFAULT_SUBJECT, name, onConnect } = options;
  const manager = await jetstreamManager(link);
  const stream = options.stream ?? (await manager.streams.find(topic));
  await manager.consumers.add(stream, {
    durable_name: name,
    filter_subject: topic,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: nanos(ACK_WAIT_MS),
    max_ack_pending: MAX_ACK_PENDING,
    max_deliver: -1,
  });
  const consumer = await jetstream(link).consumers.get(stream, name);
  const messages = await consumer.consume({ max_messages: 256, abort_on_missing_resource: true });
  onConnect(`stream ${stream}, ${topic}`);
  return messages;
}

function propertiesOf(headers: MsgHdrs | undefined): Record<string, string> {
  if (headers === undefined) return {};
  return Object.fromEntries(headers.keys().map((name) => [name, headers.get(name)]));
}

async function takeAll(
  messages: ConsumerMessages,
  intake: Intake,
  outstanding: Outstanding,
): Promise<void> {
  const take = async (message: JsMsg) => {
    const { subject: topic, data: payload, headers } = message;
    const properties = propertiesOf(headers);
    if (await intake.take({ topic, payload, properties })) message.ack();
  };
  for await (const message of messages) {
    outstanding.add(take(message));
    await intake.room();
  }
}

async function run(options: SourceOptions, intake: Intake, signal: AbortSignal): Promise<void> {
  const link = await connected(options);
  const ended = link.closed().then((error) => {
    throw error instanceof Error ? error : new Error('the connection was closed');
  });
  // It is raced below; nobody may be waiting when it comes.
  ended.catch(() => {});
  try {
    const outstanding = new Outstanding();
    const messages = await Promise.race([ended, consumed(link, options)]);
    const over = takeAll(messages, intake, outstanding).then(() => {
      if (!signal.aborted) throw new Error('the consumer is gone');
    });
    over.catch(() => {});
    await Promise.race([ended, over, aborted(signal)]);
    messages.stop();
    await Promise.race([ended, outstanding.settled()]);
    await Promise.race([ended, link.flush()]);
  } finally {
    await link.close();
  }
}

export function natsSource(options: SourceOptions): Source {
  return { run: (intake, signal) => run(options, intake, signal) };
}
