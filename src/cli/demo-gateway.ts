import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { askControl } from '../ops/control-client.ts';
import { type DataFolder, dataFolder } from '../ops/data-folder.ts';
import { type Child, spawnNode } from '../os/child.ts';
import { writeNewFile } from '../os/temporary-folder.ts';
import type { Status } from '../status.ts';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
const START_WITHIN_MS = 15_000;
const POLL_MS = 50;

/** A real daemon in a process of its own, with its own folder. */
export class DemoGateway {
  readonly data: DataFolder;
  readonly #child: Child;

  private constructor(folder: string, child: Child) {
    this.data = dataFolder(folder, {});
    this.#child = child;
  }

  /**
   * Starts `headgate run` in `folder` and waits until it answers. Nothing of our own settings
   * reaches it, the file in /etc neither. `onChild` is told of the process at once.
   */
  static async start(
    folder: string,
    uplinkUrl: string,
    onChild: (child: Child) => void,
  ): Promise<DemoGateway> {
    const config = join(folder, 'headgate.yaml');
    await writeNewFile(config, '# The defaults.\n');
    const data = join(folder, 'data');
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('HEADGATE_'));
    const env = {
      ...Object.fromEntries(inherited),
      HEADGATE_GATEWAY_ID: 'demo',
      HEADGATE_UPLINK_URL: uplinkUrl,
      HEADGATE_UPLINK_RECONNECT_MAX_MS: '1000',
    };
    const args = ['run', '--config', config, '--data', data, '--port', '0'];
    const child = spawnNode([MAIN, ...args], env);
    const gateway = new DemoGateway(data, child);
    onChild(child);
    let ended = false;
    void child.ended.then(() => {
      ended = true;
    });
    for (let waitedMs = 0; waitedMs < START_WITHIN_MS && !ended; waitedMs += POLL_MS) {
      const status = await gateway.status().catch(() => undefined);
      if (status !== undefined && status.mqtt.port > 0) return gateway;
      await wait(POLL_MS);
    }
    child.kill('SIGKILL');
    throw new Error(`the gateway did not start:\n${child.output()}`);
  }

  async status(): Promise<Status> {
    return (await askControl(this.data.socket, '/status')) as Status;
  }

  /** Waits until `reached` holds of the status; false if it does not within `withinMs`. */
  async until(reached: (status: Status) => boolean, withinMs: number): Promise<boolean> {
    for (let waitedMs = 0; waitedMs <= withinMs; waitedMs += POLL_MS) {
      if (reached(await this.status())) return true;
      await wait(POLL_MS);
    }
    return false;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#child.ended;
  }
}
