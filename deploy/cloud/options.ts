import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/base/errors.ts';
import { parseWhole } from '../../src/base/whole-number.ts';

/** argv and the environment as settings. Secrets come from files or the environment alone. */

export const HELP = `\
headgate-sink: what Headgate sends to the cloud, into PostgreSQL, each record once

  headgate-sink --from URL [--postgres URL] [--create-table] [more]

  --from URL            mqtt:// mqtts:// ws:// wss://, nats:// tls://, kafka:// kafkas://;
                        of NATS and Kafka several servers with commas between them
  --topic FILTER        MQTT: headgate/# unless set. NATS: headgate.>
                        Kafka: names with commas, or /a pattern/; /^headgate[.-]/ unless set
  --name NAME           what the far side remembers progress by (headgate-sink): client id,
                        durable consumer, consumer group
  --postgres URL        postgres://user@host/database; without it PGHOST, PGUSER and the others
  --create-table        makes the tables if they are not there
  --username NAME       at the source; its password is in HEADGATE_SINK_PASSWORD, or
  --password-file FILE  in the first line of this file
  --ca, --cert, --key FILE
                        PEM, for a source behind TLS
  --mqtt-version 4|5    5 unless set; 4 is MQTT 3.1.1
  --stream NAME         of JetStream; without it the one that has the subject
  --sasl MECHANISM      Kafka with --username: plain (unless set), scram-sha-256, scram-sha-512
  --takeover SECONDS    NATS, Kafka: how long the messages of a sink that died wait before another
                        gets them (30)
  --every SECONDS       how often a line says what was stored (60)
  --json                these lines as JSON

  HEADGATE_SINK_FROM and HEADGATE_SINK_POSTGRES stand in for the two URLs. A password of PostgreSQL
  is in PGPASSWORD, PGPASSFILE or HEADGATE_SINK_POSTGRES.
`;

/** What to tell whoever typed it; no stack. */
export class SinkError extends Error {
  override readonly name = 'SinkError';
}

const SASL = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;

export interface SinkSettings {
  readonly from: string;
  readonly topic: string | undefined;
  readonly name: string;
  readonly postgres: string | undefined;
  readonly createTable: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: Readonly<Partial<Record<'ca' | 'cert' | 'key', string>>>;
  readonly mqttVersion: 4 | 5;
  readonly stream: string | undefined;
  readonly sasl: (typeof SASL)[number];
  readonly takeoverMs: number;
  readonly everyMs: number;
  readonly json: boolean;
}

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const WORDS = {
  ...{ from: text, topic: text, name: text, postgres: text, username: text },
  ...{ 'password-file': text, ca: text, cert: text, key: text },
  ...{ 'mqtt-version': text, stream: text, sasl: text, every: text },
  takeover: text,
  ...{ 'create-table': flag, json: flag, help: flag },
};

function contentOf(word: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new SinkError(`--${word}: ${messageOf(error)}`);
  }
}

/** `user:password@` in an address. A command line is read by every user of the machine. */
function hasPassword(url: string): boolean {
  return /\/\/[^/@]*:[^/@]+@|[?&]password=/.test(url);
}

function wordsOf(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: WORDS }).values;
  } catch (error) {
    throw new SinkError(messageOf(error));
  }
}

type Words = ReturnType<typeof wordsOf>;

function passwordOf(words: Words, env: NodeJS.ProcessEnv): string | undefined {
  const file = words['password-file'];
  if (file === undefined) return env['HEADGATE_SINK_PASSWORD'];
  return contentOf('password-file', file).split(/\r?\n/, 1)[0];
}

function tlsOf(words: Words): SinkSettings['tls'] {
  const names = (['ca', 'cert', 'key'] as const).filter((name) => words[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, contentOf(name, words[name] ?? '')]));
}

function fromOf(words: Words, env: NodeJS.ProcessEnv): string {
  const from = words.from ?? env['HEADGATE_SINK_FROM'];
  if (from === undefined)
    throw new SinkError('--from is missing: where do the messages come from?');
  if (!/^(mqtts?|wss?|nats|tls|kafkas?):\/\/./i.test(from)) {
    throw new SinkError(
      '--from is no mqtt://, mqtts://, ws://, wss://, nats://, tls:// or kafka://',
    );
  }
  if (hasPassword(from)) {
    throw new SinkError('--from has a password in it: give --username and HEADGATE_SINK_PASSWORD');
  }
  return from;
}

/** Throws SinkError. Undefined: help is asked for. */
export function sinkSettings(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
): SinkSettings | undefined {
  const words = wordsOf(argv);
  if (words.help === true) return undefined;
  if (hasPassword(words.postgres ?? '')) {
    throw new SinkError('--postgres has a password in it: put it into PGPASSWORD or PGPASSFILE');
  }
  const version = words['mqtt-version'] ?? '5';
  if (version !== '4' && version !== '5') throw new SinkError('--mqtt-version is 4 or 5');
  const sasl = SASL.find((mechanism) => mechanism === (words.sasl ?? 'plain'));
  if (sasl === undefined) throw new SinkError(`--sasl is one of ${SASL.join(', ')}`);
  const everySeconds = parseWhole(words.every ?? '60', 1, 86_400);
  if (everySeconds === undefined) throw new SinkError('--every is a number of seconds');
  const takeoverSeconds = parseWhole(words.takeover ?? '30', 6, 600);
  if (takeoverSeconds === undefined) throw new SinkError('--takeover is 6 to 600 seconds');
  return {
    from: fromOf(words, env),
    topic: words.topic,
    name: words.name ?? 'headgate-sink',
    postgres: words.postgres ?? env['HEADGATE_SINK_POSTGRES'],
    createTable: words['create-table'] === true,
    username: words.username,
    password: passwordOf(words, env),
    tls: tlsOf(words),
    mqttVersion: version === '4' ? 4 : 5,
    stream: words.stream,
    sasl,
    takeoverMs: takeoverSeconds * 1000,
    everyMs: everySeconds * 1000,
    json: words.json === true,
  };
}
