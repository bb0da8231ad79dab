import { createServer, type Server, type Socket } from 'node:net';
import { DiskRecord } from './disk-record.ts';
import {
  ANSWER,
  CLIENT_FLAGS_BYTES,
  COMMAND,
  EINVAL,
  exportFacts,
  exportInfo,
  GREETING,
  OPTION,
  optionReply,
  type Request,
  readOption,
  readRequest,
  reply,
} from './nbd-wire.ts';

/**
 * A disk on a Unix socket, for QEMU. It records every write and flush, and takes its time over a
 * flush, as a card does: meanwhile other writes come in that the flush does not cover.
 */
export class NbdServer {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #flushMs: number;
  #disk: Buffer;
  #record = new DiskRecord();

  private constructor(path: string, disk: Buffer, flushMs: number) {
    this.path = path;
    this.#disk = disk;
    this.#flushMs = flushMs;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** `disk` becomes the server's own. */
  static async listen(path: string, disk: Buffer, flushMs = 0): Promise<NbdServer> {
    const server = new NbdServer(path, disk, flushMs);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen(path, resolve);
    });
    return server;
  }

  get record(): DiskRecord {
    return this.#record;
  }

  /** Another disk of the same size, with a record of its own; while nobody has it mounted. */
  insert(disk: Buffer): void {
    if (disk.length !== this.#disk.length) throw new Error('the disk has another size');
    this.#disk = disk;
    this.#record = new DiskRecord();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const session = new Session(socket, this);
    socket.on('data', (bytes) => {
      try {
        session.read(bytes);
      } catch {
        socket.destroy();
      }
    });
    // A machine that is killed says no goodbye.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    socket.write(GREETING);
  }

  get sizeBytes(): number {
    return this.#disk.length;
  }

  /** `answered` is the length of the record before what came in together with this request. */
  handle(request: Request, answered: number, answer: (bytes: Buffer) => void): void {
    const { command, handle, offset, bytes, data, isForced } = request;
    if (command === COMMAND.flush) {
      const record = this.#record;
      const finish = () => {
        record.flush(answered);
        answer(reply(handle));
      };
      if (this.#flushMs > 0) setTimeout(finish, this.#flushMs);
      else finish();
      return;
    }
    if (offset + bytes > this.#disk.length) answer(reply(handle, EINVAL));
    else if (command === COMMAND.read) {
      answer(reply(handle, 0, this.#disk.subarray(offset, offset + bytes)));
    } else if (command === COMMAND.write) {
      data.copy(this.#disk, offset);
      this.#record.write(offset, data, isForced);
      answer(reply(handle));
    } else answer(reply(handle, EINVAL));
  }
}

/** One connection, from the greeting to requests. */
class Session {
  readonly #socket: Socket;
  readonly #server: NbdServer;
  #parts: Buffer[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #stage: 'flags' | 'options' | 'requests' = 'flags';

  constructor(socket: Socket, server: NbdServer) {
    this.#socket = socket;
    this.#server = server;
  }

  read(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    // Writes that came in with a flush have not been answered before it: no flush must cover them.
    const answered = this.#server.record.length;
    while (this.#take(answered)) {
      // Until the rest is not whole.
    }
    if (this.#parts.length > 0) this.#socket.write(Buffer.concat(this.#parts));
    this.#parts = [];
  }

  #take(answered: number): boolean {
    switch (this.#stage) {
      case 'flags':
        if (this.#rest.length < CLIENT_FLAGS_BYTES) return false;
        this.#drop(CLIENT_FLAGS_BYTES);
        this.#stage = 'options';
        return true;
      case 'options':
        return this.#takeOption();
      case 'requests':
        return this.#takeRequest(answered);
    }
  }

  #drop(bytes: number): void {
    this.#rest = this.#rest.subarray(bytes);
  }

  #takeOption(): boolean {
    const option = readOption(this.#rest);
    if (option === undefined) return false;
    const { code, length } = option;
    this.#drop(length);
    const { sizeBytes } = this.#server;
    if (code === OPTION.exportName) {
      this.#parts.push(exportFacts(sizeBytes));
      this.#stage = 'requests';
    } else if (code === OPTION.go || code === OPTION.info) {
      this.#parts.push(optionReply(code, ANSWER.info, exportInfo(sizeBytes)));
      this.#parts.push(optionReply(code, ANSWER.ack));
      if (code === OPTION.go) this.#stage = 'requests';
    } else if (code === OPTION.abort) this.#socket.end();
    else this.#parts.push(optionReply(code, ANSWER.unsupported));
    return true;
  }

  #takeRequest(answered: number): boolean {
    const request = readRequest(this.#rest);
    if (request === undefined) return false;
    this.#drop(request.length);
    if (request.command === COMMAND.disconnect) {
      this.#socket.end();
      return true;
    }
    let isNow = true;
    this.#server.handle(request, answered, (bytes) => {
      if (isNow) this.#parts.push(bytes);
      else if (this.#socket.writable) this.#socket.write(bytes);
    });
    isNow = false;
    return true;
  }
}
