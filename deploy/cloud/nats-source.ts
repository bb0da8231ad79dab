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
/** Messages that are taken are said to be in work so many times within `takeoverMs`. */
const IN_WORK_TIMES = 3;
/** So many of a sink that was killed, and no others come until they are given to another. */
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
    ack_wait: nanos(options.takeoverMs),
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

class Taking {
  readonly #intake: Intake;
  readonly #messages: ConsumerMessages;
  readonly #outstanding = new Outstanding();
  /** Until they are acknowledged. */
  readonly #inWork = new Set<JsMsg>();

  constructor(messages: ConsumerMessages, intake: Intake) {
    this.#messages = messages;
    this.#intake = intake;
  }

  async #take(message: JsMsg): Promise<void> {
    const { subject: topic, data: payload, headers } = message;
    this.#inWork.add(message);
    const properties = propertiesOf(headers);
    if (await this.#intake.take({ topic, payload, properties })) message.ack();
    this.#inWork.delete(message);
  }

  async all(): Promise<void> {
    for await (const message of this.#messages) {
      this.#outstanding.add(this.#take(message));
      await this.#intake.room();
    }
  }

  settled(): Promise<void> {
    return this.#outstanding.settled();
  }

  /** While the database is away: the server waits for these for longer. */
  extend(): void {
    for (const message of this.#inWork) message.working();
  }
}

async function run(options: SourceOptions, intake: Intake, signal: AbortSignal): Promise<void> {
  const link = await connected(options);
  const ended = link.closed().then((error) => {
    throw error instanceof Error ? error : new Error('the connection was closed');
  });
  // It is raced below; nobody may be waiting when it comes.
  ended.catch(() => {});
  let ticker: NodeJS.Timeout | undefined;
  try {
    const messages = await Promise.race([ended, consumed(link, options)]);
    const taking = new Taking(messages, intake);
    ticker = setInterval(() => taking.extend(), options.takeoverMs / IN_WORK_TIMES);
    const over = taking.all().then(() => {
      if (!signal.aborted) throw new Error('the consumer is gone');
    });
    over.catch(() => {});
    await Promise.race([ended, over, aborted(signal)]);
    messages.stop();
    await Promise.race([ended, taking.settled()]);
    await Promise.race([ended, link.flush()]);
  } finally {
    clearInterval(ticker);
    await link.close();
  }
}

export function natsSource(options: SourceOptions): Source {
  return { run: (intake, signal) => run(options, intake, signal) };
}
