import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** Where a gateway keeps what it has. Pure but for the name of the temporary folder. */
export interface DataFolder {
  readonly root: string;
  readonly telemetry: string;
  readonly events: string;
  readonly state: string;
  /** The socket on which the daemon answers the command line. */
  readonly socket: string;
}

/** The kernel's limit is 107; systemd and test folders can be deep. */
const MAX_SOCKET_PATH = 100;

/**
 * The folder named by the configuration or the command line, else systemd's state folder, else
 * `./data`.
 */
export function dataFolder(configured: string, env: NodeJS.ProcessEnv): DataFolder {
  const systemd = env['STATE_DIRECTORY']?.split(':')[0];
  const root = resolve(configured || systemd || 'data');
  return {
    root,
    telemetry: join(root, 'log', 'telemetry'),
    events: join(root, 'log', 'events'),
    state: join(root, 'state'),
    socket: socketPath(root),
  };
}

function socketPath(root: string): string {
  const own = join(root, 'headgate.sock');
  if (Buffer.byteLength(own) <= MAX_SOCKET_PATH) return own;
  const name = createHash('sha256').update(root).digest('hex').slice(0, 16);
  const uid = process.getuid?.() ?? 0;
  return join(tmpdir(), `headgate-${uid}-${name}.sock`);
}
