import { setFlagsFromString } from 'node:v8';
import { systemClock, systemRandom } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { createLogger } from '../os/logger.ts';
import { nodeFiles } from '../os/node-files.ts';
import { Service } from '../service.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION } from './command.ts';
import { readSettings } from './settings.ts';

/**
 * How far the heap may grow before it is cleaned, in percent of what is in use. V8 would let a
 * drain of a large backlog take 130 MiB more of a small board's memory; so it is some 20, for a
 * fifth more work while it drains at full speed (`npm run bench:drain`).
 */
const HEAP_GROWING_FLAG = '--heap-growing-percent=30';

/** Resolves with the name of the first signal that asks the daemon to stop. */
function askedToStop(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => resolve(signal));
  });
}

/** As long as the process may take to end by itself. */
const LEFT_BEHIND_MS = 500;

export const run: Command = {
  name: 'run',
  usage: 'headgate run [--config FILE] [--data DIR] [--port N]',
  summary: 'the daemon',
  options: { ...CONFIG_OPTION, ...DATA_OPTION, port: { type: 'string' } },
  positionals: [0, 0],
  async run(values, _, io) {
    setFlagsFromString(HEAP_GROWING_FLAG);
    const { config, data, file, warnings } = await readSettings(values, io.env);
    const logger = createLogger({
      ...config.logger,
      clock: systemClock,
      env: io.env,
      isTty: process.stdout.isTTY === true,
    });
    // An error nobody took care of: what runs can't be trusted any more. The log needs no goodbye.
    process.on('uncaughtException', (error) => {
      logger.error({ error: error.stack ?? messageOf(error) }, 'headgate stops: unexpected error');
      logger.close();
      process.exit(70);
    });
    logger.info({ config: file ?? 'embedded default', data: data.root }, 'headgate starts');
    for (const warning of warnings) logger.warn({ warning }, 'the configuration is an older one');
    const stop = askedToStop();
    const service = new Service({ env: io.env, pid: process.pid, clock: systemClock, logger });
    service.starting();
    try {
      const files = nodeFiles;
      const random = systemRandom;
      const clock = systemClock;
      // Only the daemon needs the broker: other commands are there in half the time.
      const { Gateway } = await import('../gateway.ts');
      const gateway = await Gateway.start({ config, data, files, clock, random, logger });
      service.ready(() => gateway.status());
      const signal = await stop;
      service.stopping();
      logger.info({ signal }, 'headgate stops');
      await gateway.stop();
      logger.info({}, 'everything is on flash and closed');
      // What a library has left behind (a timer of a connection that never came to be) must not
      // keep the process: everything is closed, and whoever waits for its end would kill it.
      setTimeout(() => process.exit(0), LEFT_BEHIND_MS).unref();
      return 0;
    } finally {
      logger.close();
    }
  },
};
