import { join } from 'node:path';
import { Running, temporaryFolder } from './gateway-process.ts';
import { until } from './until.ts';

/**
 * systemd's end of the socket: prints each message, with the time in seconds and, for READY=1,
 * whether somebody listens on the port at that moment. Node has no sockets of this kind.
 */
const LISTENER = `
import array, json, os, socket, sys, time
path, port = sys.argv[1], int(sys.argv[2])
own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
own.bind(path)
print(json.dumps({"at": time.monotonic(), "lines": []}), flush=True)
while True:
    data, ancillary, _, _ = own.recvmsg(65536, 1024)
    at = time.monotonic()
    for level, kind, fds in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            held = array.array("i")
            held.frombytes(fds[:len(fds) - len(fds) % held.itemsize])
            for fd in held: os.close(fd)
    lines = data.decode().split("\\n")
    said = {"at": at, "lines": [line for line in lines if line and line != "BARRIER=1"]}
    if "READY=1" in lines:
        probe = socket.socket()
        said["listens"] = probe.connect_ex(("127.0.0.1", port)) == 0
        probe.close()
    if said["lines"]: print(json.dumps(said), flush=True)
`;

export interface Said {
  /** Seconds of the monotonic clock. */
  readonly at: number;
  readonly lines: readonly string[];
  readonly listens?: boolean;
}

export class NotifySocket {
  readonly path: string;
  readonly #listener: Running;

  private constructor(path: string, listener: Running) {
    this.path = path;
    this.#listener = listener;
  }

  /** `port`: where the one who speaks listens. */
  static async open(port: number): Promise<NotifySocket> {
    const path = join(temporaryFolder(), 'notify');
    const { PATH = '' } = process.env;
    const args = ['-c', LISTENER, path, String(port)];
    const listener = new Running('python3', args, { PATH });
    await until('the socket is there', () => {
      if (listener.hasEnded) throw new Error(listener.stderr);
      return listener.stdout.includes('\n');
    });
    return new NotifySocket(path, listener);
  }

  /** In the order in which it came. */
  said(): Said[] {
    const lines = this.#listener.stdout.split('\n').slice(1, -1);
    return lines.map((line) => JSON.parse(line) as Said);
  }

  /** How often the watchdog was fed. */
  get fed(): number {
    return this.said().filter(({ lines }) => lines.includes('WATCHDOG=1')).length;
  }

  /** The newest `STATUS=`. */
  get status(): string {
    const all = this.said().flatMap(({ lines }) => lines);
    return all.findLast((line) => line.startsWith('STATUS='))?.slice('STATUS='.length) ?? '';
  }
}
