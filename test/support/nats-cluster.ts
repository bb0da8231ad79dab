import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { freePort } from './free-port.ts';
import { until } from './until.ts';

const START_WITHIN_MS = 20_000;

/** Debian's nats-server with JetStream: its streams stand in its folder over a stop. */
export class NatsServer {
  readonly port: number;
  readonly name: string;
  readonly #folder: string;
  readonly #config: string;
  #child: ChildProcess | undefined;

  /** `more`: further lines of its configuration. */
  constructor(folder: string, port: number, more: readonly string[] = []) {
    this.port = port;
    this.name = `node-${port}`;
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    this.#config = join(folder, 'nats.conf');
    const lines = [
      `server_name: ${this.name}`,
      `listen: 127.0.0.1:${port}`,
      `jetstream { store_dir: "${folder}", max_mem: 16MB, max_file: 256MB }`,
      ...more,
    ];
    writeFileSync(this.#config, `${lines.join('\n')}\n`);
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Starts it and waits until it takes clients. */
  async start(): Promise<void> {
    const log = join(this.#folder, 'nats.log');
    const child = spawn('nats-server', ['-c', this.#config, '-l', log], { stdio: 'ignore' });
    this.#child = child;
    let gone = false;
    for (const event of ['error', 'exit'] as const) {
      child.once(event, () => {
        gone = true;
      });
    }
    const isUp = async () => {
      if (gone) throw new Error('nats-server ended: is the package nats-server installed?');
      return readFileSync(log, { encoding: 'utf8', flag: 'a+' }).includes('Server is ready');
    };
    writeFileSync(log, '');
    await until('nats-server is ready', isUp, START_WITHIN_MS);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  kill9(): Promise<void> {
    return this.#end('SIGKILL');
  }
}

/** Servers of one cluster on loopback; streams in it can have as many replicas. */
export async function natsCluster(folder: string, size: number): Promise<NatsServer[]> {
  const ports = await Promise.all(Array.from({ length: size * 2 }, freePort));
  const routes = ports.slice(size).map((port) => `nats-route://127.0.0.1:${port}`);
  return ports.slice(0, size).map((port, index) => {
    const listen = `listen: 127.0.0.1:${ports[size + index]}`;
    const more = [`cluster { name: cloud, ${listen}, routes: [${routes.join(', ')}] }`];
    return new NatsServer(join(folder, `node-${index}`), port, more);
  });
}

/** A client of the tests, which connects again by itself. */
export function natsClient(
  servers: readonly NatsServer[],
  more: { user?: string; pass?: string } = {},
): Promise<NatsConnection> {
  return connect({
    servers: servers.map(({ port }) => `127.0.0.1:${port}`),
    reconnectTimeWait: 100,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: true,
    ...more,
  });
}

/** One request to the API of JetStream. Rejects with its error, if it says one. */
export async function jetStream(
  client: NatsConnection,
  subject: string,
  body: object = {},
): Promise<Record<string, unknown>> {
  const answer = await client.request(`$JS.API.${subject}`, JSON.stringify(body), {
    timeout: 5000,
  });
  const value = answer.json<{ error?: { description: string } } & Record<string, unknown>>();
  if (value.error !== undefined) throw new Error(value.error.description);
  return value;
}

/** Makes the stream, as `nats stream add` does; a cluster that has just come up takes a while. */
export async function addStream(
  client: NatsConnection,
  name: string,
  settings: Readonly<Record<string, unknown>>,
): Promise<void> {
  const body = {
    name,
    retention: 'limits',
    storage: 'file',
    discard: 'old',
    num_replicas: 1,
    duplicate_window: 3600 * 1e9,
    ...settings,
  };
  let last: unknown;
  const made = async () => {
    try {
      await jetStream(client, `STREAM.CREATE.${name}`, body);
      return true;
    } catch (error) {
      last = error;
      return false;
    }
  };
  await until('the stream is made', made, START_WITHIN_MS).catch((error: Error) => {
    throw new Error(`${error.message}: ${String(last)}`);
  });
}

export interface StoredMessage {
  readonly subject: string;
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Buffer;
}

interface RawMessage {
  readonly subject: string;
  readonly hdrs?: string;
  readonly data?: string;
}

/** Every message that the stream holds, in the order of the stream. */
export async function streamMessages(
  client: NatsConnection,
  name: string,
): Promise<StoredMessage[]> {
  const { state } = (await jetStream(client, `STREAM.INFO.${name}`)) as {
    state: { first_seq: number; last_seq: number };
  };
  const found: StoredMessage[] = [];
  for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq++) {
    const { message } = (await jetStream(client, `STREAM.MSG.GET.${name}`, { seq })) as {
      message: RawMessage;
    };
    const lines = Buffer.from(message.hdrs ?? '', 'base64')
      .toString()
      .split('\r\n');
    const headers = Object.fromEntries(
      lines.filter((line) => line.includes(':')).map((line) => line.split(': ', 2)),
    ) as Record<string, string>;
    const payload = Buffer.from(message.data ?? '', 'base64');
    found.push({ subject: message.subject, id: headers['Nats-Msg-Id'] ?? '', headers, payload });
  }
  return found;
}
