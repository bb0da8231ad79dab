/** The daemon as a bench runs it: a process of its own, and what it says of itself. */
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { askControl } from '../../src/ops/control-client.ts';
import { dataFolder } from '../../src/ops/data-folder.ts';
import { type Child, spawnNode } from '../../src/os/child.ts';
import type { Status } from '../../src/status.ts';

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const START_WITHIN_MS = 60_000;
const POLL_MS = 20;

export interface GatewayChild {
  readonly port: number;
  readonly child: Child;
  status(): Promise<Status>;
}

/** Resolves when it listens, on any free port. `by`: as of `spawnNode`; it keeps the pid. */
export async function startGateway(
  folder: string,
  env: NodeJS.ProcessEnv,
  by: readonly string[] = [],
): Promise<GatewayChild> {
  const data = dataFolder(folder, {});
  const args = [MAIN, 'run', '--data', folder, '--port', '0'];
  const child = spawnNode(args, { ...process.env, ...env }, by);
  let hasEnded = false;
  void child.ended.then(() => {
    hasEnded = true;
  });
  const status = () => askControl(data.socket, '/status') as Promise<Status>;
  for (let i = 0; i < START_WITHIN_MS / POLL_MS && !hasEnded; i++) {
    const now = await status().catch(() => undefined);
    if (now?.pid === child.pid && now.mqtt.port > 0) return { port: now.mqtt.port, child, status };
    await wait(POLL_MS);
  }
  child.kill('SIGKILL');
  throw new Error(`the gateway did not start: ${child.output()}`);
}
