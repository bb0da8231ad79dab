import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { silentLogger } from '../../src/base/logger.ts';
import type { RecordJson } from '../../src/base/record-json.ts';
import type { Journal } from '../../src/log/journal.ts';
import { LocalStreams } from '../../src/log/local-streams.ts';
import { NamedConsumers } from '../../src/log/named-consumers.ts';
import { consumerRoutes } from '../../src/ops/consumer-routes.ts';
import { type Control, type ControlLimits, openControl } from '../../src/ops/control.ts';
import type { Handler } from '../../src/ops/control-call.ts';
import { recordRoutes } from '../../src/ops/record-routes.ts';
import type { Files } from '../../src/os/files.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import { makeTemporaryFolder, removeFolder } from '../../src/os/temporary-folder.ts';
import type { Boot } from './boots.ts';
import { type MemoryState, memoryState } from './memory-state.ts';
import { until } from './until.ts';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Events that have come, and the connection that they come over. */
export interface Events {
  readonly ids: () => string[];
  readonly records: () => RecordJson[];
  readonly answer: IncomingMessage;
  readonly isOver: () => boolean;
  end(): void;
}

/** The local socket over a journal in memory, and a client of it. */
export class LocalSocket {
  readonly state: MemoryState;
  readonly #socket: string;
  readonly #folder: string;
  readonly #control: Control;
  readonly #streams: LocalStreams;

  private constructor(parts: {
    folder: string;
    socket: string;
    state: MemoryState;
    control: Control;
    streams: LocalStreams;
  }) {
    this.#folder = parts.folder;
    this.#socket = parts.socket;
    this.state = parts.state;
    this.#control = parts.control;
    this.#streams = parts.streams;
  }

  static async open(
    files: Files,
    { journal, clock }: Pick<Boot, 'journal' | 'clock'>,
    state = memoryState(),
    more: Partial<ControlLimits> & { readonly handlers?: readonly Handler[] } = {},
  ): Promise<LocalSocket> {
    const { handlers: others = [], ...limits } = more;
    const folder = await makeTemporaryFolder('headgate-socket-');
    const journals = new Map<string, Journal>([['telemetry', journal]]);
    const streams = new LocalStreams({ files, clock, boot: new Uint8Array(8), journals });
    const consumers = new NamedConsumers(state, streams);
    const own = [recordRoutes({ streams, consumers }), consumerRoutes({ streams, consumers })];
    const handlers = [...own, ...others];
    const socket = `${folder}/s`;
    const control = await openControl({
      files: nodeFiles,
      path: socket,
      handlers,
      limits,
      logger: silentLogger,
    });
    return new LocalSocket({ folder, socket, state, control, streams });
  }

  ask(method: string, path: string, body?: unknown): Promise<Reply> {
    return this.send(method, path, body === undefined ? '' : JSON.stringify(body));
  }

  send(method: string, path: string, body = ''): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#socket, method, path }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        answer.on('end', () => {
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text });
        });
        answer.on('error', reject);
      });
      asked.on('error', reject);
      asked.end(body);
    });
  }

  /** Server-sent events, from when the answer has begun. */
  follow(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Events> {
    const all = { accept: 'text/event-stream', ...headers };
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#socket, path, headers: all }, (answer) => {
        let text = '';
        let isOver = false;
        answer.setEncoding('utf8');
        answer.on('close', () => {
          isOver = true;
        });
        answer.on('error', () => {});
        if (answer.statusCode === 200) {
          answer.on('data', (part: string) => {
            text += part;
          });
        }
        const found = (line: RegExp) => [...text.matchAll(line)].map(([, value]) => value ?? '');
        resolve({
          answer,
          ids: () => found(/^id: (.*)$/gm),
          records: () => found(/^data: (.*)\n\n/gm).map((one) => JSON.parse(one) as RecordJson),
          isOver: () => isOver,
          end: () => asked.destroy(),
        });
      });
      asked.on('error', reject);
      asked.end();
    });
  }

  /** Requests written at once over one connection, and nothing of the answers is read. */
  pipeline(requests: readonly string[]): Socket {
    const client = connect(this.#socket);
    client.on('error', () => {});
    client.write(requests.join(''));
    return client;
  }

  async close(): Promise<void> {
    await this.#control.close();
    this.#streams.close();
    await removeFolder(this.#folder);
  }
}

export function recordsOf({ text }: Pick<Reply, 'text'>): RecordJson[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as RecordJson);
}

export function untilRecords(events: Events, count: number): Promise<void> {
  return until(`${count} events`, () => events.records().length >= count);
}
