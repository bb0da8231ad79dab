import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A line to a port on loopback that can fall silent, or be cut. */
export class Relay {
  /** What comes back from the far side is dropped while true; what goes there arrives. */
  isMute = false;
  /** All that came back, whether it was passed on or not. */
  answers = '';
  readonly port: number;
  /** Where new connections lead. */
  target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.target = target;
    this.port = (server.address() as { port: number }).port;
    server.on('connection', (near) => {
      const far = connect(this.target, '127.0.0.1');
      near.pipe(far);
      far.setEncoding('latin1').on('data', (data: string) => {
        this.answers += data;
        if (!this.isMute) near.write(data, 'latin1');
      });
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(socket);
        socket.on('error', () => {
          // `close` follows.
        });
        socket.on('close', () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
      }
    });
  }

  static async start(target: number): Promise<Relay> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Relay(server, target);
  }

  get connections(): number {
    return this.#sockets.size / 2;
  }

  /** Ends what is connected; new connections are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}
