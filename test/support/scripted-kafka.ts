import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

/** What came in one request for one topic. */
export interface Produced {
  readonly topic: string;
  readonly records: number;
  readonly bytes: number;
}

/** Reads what Kafka's protocol is made of, from the front of a request. */
class Reader {
  #at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int(size: 2 | 4): number {
    this.#at += size;
    return this.#bytes.readIntBE(this.#at - size, size);
  }

  take(size: number): Buffer {
    this.#at += Math.max(0, size);
    return this.#bytes.subarray(this.#at - Math.max(0, size), this.#at);
  }

  text(): string {
    return this.take(this.int(2)).toString();
  }

  list<T>(item: () => T): T[] {
    return Array.from({ length: Math.max(0, this.int(4)) }, item);
  }
}

const int = (size: 2 | 4, value: number) => {
  const bytes = Buffer.alloc(size);
  bytes.writeIntBE(value, 0, size);
  return bytes;
};
const text = (value: string) => Buffer.concat([int(2, value.length), Buffer.from(value)]);
const list = (items: readonly Buffer[]) => Buffer.concat([int(4, items.length), ...items]);

/** Versions that the broker has: produce 3, metadata 1, and the list of these. */
const VERSIONS = [
  [0, 3],
  [3, 1],
  [18, 0],
] as const;
const COUNT_AT = 57;

/** One broker that answers each record batch with the error that the test wants; 0 is none. */
export class ScriptedKafka {
  /** Every request, in the order of arrival. */
  readonly requests: Produced[][] = [];
  errorOf: (produced: Produced) => number = () => 0;
  /** Takes everything and answers nothing. */
  isMute = false;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket) => this.#serve(socket));
  }

  static async start(): Promise<ScriptedKafka> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new ScriptedKafka(server);
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  close(): void {
    this.#server.close();
  }

  #serve(socket: Socket): void {
    let left = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      left = Buffer.concat([left, data]);
      while (left.length >= 4 && left.length >= 4 + left.readInt32BE()) {
        const end = 4 + left.readInt32BE();
        const answer = this.#answer(new Reader(left.subarray(4, end)));
        if (!this.isMute) socket.write(Buffer.concat([int(4, answer.length), answer]));
        left = left.subarray(end);
      }
    });
  }

  #answer(request: Reader): Buffer {
    const [api, version] = [request.int(2), request.int(2)];
    const correlation = int(4, request.int(4));
    request.text();
    if (api === 18) {
      const keys = VERSIONS.map(([key, at]) => Buffer.concat([key, at, at].map((n) => int(2, n))));
      const throttle = version > 0 ? int(4, 0) : Buffer.alloc(0);
      return Buffer.concat([correlation, int(2, 0), list(keys), throttle]);
    }
    const body = api === 3 ? this.#metadata(request) : this.#produce(request);
    return Buffer.concat([correlation, body]);
  }

  #metadata(request: Reader): Buffer {
    const own = [int(4, 1), text('127.0.0.1'), int(4, this.port), int(2, -1)];
    const partition = [int(2, 0), int(4, 0), int(4, 1), list([int(4, 1)]), list([int(4, 1)])];
    const topics = request
      .list(() => request.text())
      .map((name) =>
        Buffer.concat([
          ...[int(2, 0), text(name), Buffer.from([0])],
          list([Buffer.concat(partition)]),
        ]),
      );
    return Buffer.concat([list([Buffer.concat(own)]), int(4, 1), list(topics)]);
  }

  #produce(request: Reader): Buffer {
    request.text();
    request.take(6);
    const all: Produced[] = [];
    const answers = request.list(() => {
      const topic = request.text();
      const partitions = request.list(() => {
        const partition = int(4, request.int(4));
        const batch = request.take(request.int(4));
        const produced = { topic, records: batch.readInt32BE(COUNT_AT), bytes: batch.length };
        all.push(produced);
        return Buffer.concat([partition, int(2, this.errorOf(produced)), Buffer.alloc(16)]);
      });
      return Buffer.concat([text(topic), list(partitions)]);
    });
    this.requests.push(all);
    return Buffer.concat([list(answers), int(4, 0)]);
  }
}
