#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { Backoff } from '../../src/base/backoff.ts';
import { systemClock, systemRandom } from '../../src/base/clock.ts';
import { codeOf, messageOf } from '../../src/base/errors.ts';
import { protocolOf } from '../../src/uplink/uplink-url.ts';
import { HELP, SinkError, type SinkSettings, sinkSettings } from './options.ts';
import { Sink } from './sink.ts';
import type { Source, SourceOptions } from './source.ts';

/** headgate-sink: deploy/cloud/README.md. */

/** From dist/deploy/cloud. */
const SCHEMA = new URL('../../../deploy/cloud/schema.sql', import.meta.url);

/** After SIGTERM, for what is taken and not committed. */
const DRAIN_MS = 10_000;
const RETRY_MS = { baseMs: 250, maxMs: 15_000 };
/** A connection that lasted this long was a good one. */
const GOOD_LINK_MS = 60_000;

function complain(line: string): void {
  process.stderr.write(`headgate-sink: ${line}\n`);
}

/** Says a trouble that lasts once, not at every try. */
class Complaint {
  #last = '';

  say(line: string): void {
    if (line !== this.#last) complain(line);
    this.#last = line;
  }

  clear(): void {
    this.#last = '';
  }
}

/** What is loaded, or what to type so that it can be. */
async function orMissing<T>(names: string, loading: Promise<T>): Promise<T> {
  try {
    return await loading;
  } catch (error) {
    if (codeOf(error) !== 'ERR_MODULE_NOT_FOUND') throw error;
    const where = 'where headgate is installed (with -g if it is there)';
    throw new SinkError(`a package is missing; ${where}: npm install ${names}`, { cause: error });
  }
}

async function sourceOf(options: SourceOptions): Promise<Source> {
  switch (protocolOf(options.url)) {
    case 'nats': {
      const names = '@nats-io/transport-node@3.3.1 @nats-io/jetstream@3.3.1';
      return (await orMissing(names, import('./nats-source.ts'))).natsSource(options);
    }
    case 'kafka':
      return (await orMissing('kafkajs', import('./kafka-source.ts'))).kafkaSource(options);
    default:
      return (await orMissing('mqtt', import('./mqtt-source.ts'))).mqttSource(options);
  }
}

interface Job {
  readonly settings: SinkSettings;
  readonly sink: Sink;
  readonly signal: AbortSignal;
}

/** Connects to the source again and again until `signal` aborts. */
async function feed(source: Source, { sink, signal }: Job): Promise<void> {
  const backoff = new Backoff({ ...RETRY_MS, random: systemRandom });
  const complaint = new Complaint();
  while (!signal.aborted) {
    const startedMs = systemClock.monoMs();
    try {
      await source.run(sink, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (systemClock.monoMs() - startedMs > GOOD_LINK_MS) {
        backoff.reset();
        complaint.clear();
      }
      complaint.say(`source: ${messageOf(error)}; trying again`);
      await wait(backoff.nextMs(), undefined, { signal }).catch(() => {
        // Stopped; the loop sees it.
      });
    }
  }
}

function report({ settings, sink }: Job): void {
  const { messages, inserted, repeated, rejected, waiting } = sink.counts;
  const line = settings.json
    ? JSON.stringify({ messages, inserted, repeated, rejected, waiting })
    : `${messages} messages: ${inserted} records stored, ${repeated} there already, ` +
      `${rejected} messages rejected, ${waiting} waiting`;
  process.stdout.write(`${line}\n`);
}

type DatabaseModule = typeof import('./database.ts');
type Database = InstanceType<DatabaseModule['Database']>;

/** A database that is away is waited for; one that is not set up is said at once. */
async function prepare(database: Database, module: DatabaseModule, job: Job): Promise<void> {
  const { settings, signal } = job;
  const backoff = new Backoff({ ...RETRY_MS, random: systemRandom });
  const complaint = new Complaint();
  while (!signal.aborted) {
    try {
      if (settings.createTable) await database.createTables(readFileSync(SCHEMA, 'utf8'));
      await database.check();
      return;
    } catch (error) {
      const text = module.faultText(error);
      if (module.isSetupFault(error)) {
        const mend = module.isMissingTable(error) ? '. --create-table makes the tables' : '';
        throw new SinkError(`PostgreSQL: ${text}${mend}`);
      }
      complaint.say(`PostgreSQL: ${text}; trying again`);
      await wait(backoff.nextMs(), undefined, { signal }).catch(() => {
        // Stopped; the loop sees it.
      });
    }
  }
}

async function sinkUntil(settings: SinkSettings, signal: AbortSignal): Promise<void> {
  const module = await orMissing('pg', import('./database.ts'));
  const source = await sourceOf({
    ...settings,
    url: settings.from,
    onConnect: (what) => complain(`connected, ${what}`),
  });
  const database = new module.Database(settings.postgres);
  const complaint = new Complaint();
  const sink = new Sink({
    store: {
      insert: async (rows) => {
        const done = await database.insert(rows);
        complaint.clear();
        return done;
      },
      isDataFault: module.isDataFault,
    },
    backoff: new Backoff({ ...RETRY_MS, random: systemRandom }),
    onTrouble: (error) => complaint.say(`PostgreSQL: ${module.faultText(error)}; trying again`),
  });
  const job = { settings, sink, signal };
  await prepare(database, module, job);
  const ticker = setInterval(() => report(job), settings.everyMs);
  signal.addEventListener('abort', () => {
    const giveUp = () => {
      sink.giveUp();
      database.abandon();
    };
    setTimeout(giveUp, DRAIN_MS).unref();
  });
  await feed(source, job);
  clearInterval(ticker);
  report(job);
  await database.close();
}

async function main(): Promise<number> {
  const settings = sinkSettings(process.argv.slice(2), process.env);
  if (settings === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stop.abort());
  await sinkUntil(settings, stop.signal);
  return 0;
}

// Whoever reads the lines may have had enough: rows matter more.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

try {
  process.exitCode = await main();
} catch (error) {
  const isKnown = error instanceof SinkError;
  complain(isKnown ? error.message : String(error instanceof Error ? error.stack : error));
  process.exitCode = isKnown ? 2 : 1;
}
