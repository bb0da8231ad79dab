import { type Clock, seededRandom, systemClock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/logger.ts';
import type { LogRecord } from '../../src/base/reading.ts';
import { Gateway } from '../../src/gateway.ts';
import { FolderView } from '../../src/log/folder-view.ts';
import { type DataFolder, dataFolder } from '../../src/ops/data-folder.ts';
import { nodeFiles } from '../../src/os/node-files.ts';
import type { Status } from '../../src/status.ts';
import { configOf } from '../support/config-loading.ts';
import { FaultyFiles } from '../support/faulty-files.ts';
import { temporaryFolder } from '../support/gateway-process.ts';
import { readAll } from '../support/journals.ts';
import { until } from '../support/until.ts';

export interface LoggedLine {
  readonly level: keyof Logger;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A gateway in this process, over files that break when told to. */
export class LocalGateway {
  readonly data: DataFolder;
  readonly files: FaultyFiles;
  readonly logged: LoggedLine[];
  readonly #gateway: Gateway;

  private constructor(parts: {
    gateway: Gateway;
    data: DataFolder;
    files: FaultyFiles;
    logged: LoggedLine[];
  }) {
    this.#gateway = parts.gateway;
    this.data = parts.data;
    this.files = parts.files;
    this.logged = parts.logged;
  }

  static async start(
    options: {
      /** YAML. */
      readonly config?: string;
      readonly folder?: string;
      readonly files?: FaultyFiles;
      readonly logged?: LoggedLine[];
      readonly clock?: Clock;
    } = {},
  ): Promise<LocalGateway> {
    const { config = '', folder = temporaryFolder(), files = new FaultyFiles() } = options;
    const { logged = [], clock = systemClock } = options;
    const note = (level: keyof Logger) => (fields: LoggedLine['fields'], message: string) => {
      logged.push({ level, message, fields });
    };
    const data = dataFolder(folder, {});
    const gateway = await Gateway.start({
      config: configOf(config, { overrides: { port: 0, dataDir: folder } }),
      data,
      files,
      clock,
      random: seededRandom(1),
      logger: {
        debug: note('debug'),
        info: note('info'),
        warn: note('warn'),
        error: note('error'),
      },
    });
    const local = new LocalGateway({ gateway, data, files, logged });
    running.add(local);
    return local;
  }

  get port(): number {
    return this.status().mqtt.port;
  }

  status(): Status {
    return this.#gateway.status();
  }

  async until(what: string, reached: (status: Status) => boolean): Promise<void> {
    await until(what, () => reached(this.status()), 15_000);
  }

  /** Lines of diagnostics with this in their message. */
  said(message: string): LoggedLine[] {
    return this.logged.filter((line) => line.message.includes(message));
  }

  /** What a reader finds on the disk, whatever this process believes. */
  async records(stream = 'readings'): Promise<LogRecord[]> {
    const store = stream === 'readings' ? this.data.telemetry : this.data.events;
    return readAll(nodeFiles, await FolderView.open(nodeFiles, store), stream);
  }

  /** Nothing stays open behind it. */
  async stop(): Promise<void> {
    running.delete(this);
    await this.#gateway.stop();
    await until('every file is closed', () => this.files.openFiles === 0, 2_000);
  }
}

const running = new Set<LocalGateway>();

/** For `afterEach`, before `cleanUp`: what a failing test left running. */
export async function stopAll(): Promise<void> {
  for (const gateway of running) {
    gateway.files.mend();
    await gateway.stop();
  }
}

/** What came in is in one of the five, and nothing is unaccounted for. */
export function isBalanced(status: Status): boolean {
  const { received, stored, duplicates, deadLettered, rejected, lostAfterAck } = status;
  return received === stored + duplicates + deadLettered + rejected + lostAfterAck;
}
