import { hostname } from 'node:os';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { HeadgateError, messageOf } from '../../src/base/errors.ts';
import { parseWhole } from '../../src/base/whole-number.ts';
import { isDeviceName, readingTopic } from './reading-topic.ts';
import type { PortSettings } from './serial-port.ts';

/** argv and the environment as settings. A secret comes from a file. */

export const HELP = `\
headgate-serial: readings of a microcontroller on a serial line, to the gateway, and its acks back

  headgate-serial --port PATH [more]

  --port PATH           /dev/ttyUSB0, or better a name that stays: /dev/serial/by-id/...
  --framing FRAMING     json (unless set): a JSON object a line; cobs: frames with a checksum
  --baud N              115200 unless set
  --parity PARITY       none (unless set), even, odd
  --stop-bits N         1 (unless set), 2
  --rtscts              hardware flow control, where both wires are there
  --device NAME         of a device that does not name itself; the last part of the port unless set
  --topic-prefix TOPIC  what stands before the device in a topic: sensors unless set
  --max-frame BYTES     of the longest line, or body of a frame (1024)
  --window N            readings on their way without a PUBACK at a time (64)
  --url URL             of the gateway: mqtt://127.0.0.1:1883 unless set, or mqtts://, ws://, wss://
  --username NAME
  --password-file FILE  its first line is the password
  --ca FILE             PEM, for a gateway behind TLS
  --client-id ID        headgate-serial-<host>-<port> unless set
  --mqtt-version 4|5    5 unless set; 4 is MQTT 3.1.1
  --every SECONDS       how often the counts are said, if they have changed (60)

  Each has its variable: HEADGATE_SERIAL_PORT, HEADGATE_SERIAL_MAX_FRAME and so on (RTSCTS=1).
  What stands on the command line goes first. docs/serial.md has the protocol and the wiring.
`;

const PREFIX = 'HEADGATE_SERIAL_';

const text = { type: 'string' } as const;
const WORDS = {
  ...{ port: text, framing: text, baud: text, parity: text, 'stop-bits': text },
  ...{ device: text, 'topic-prefix': text, 'max-frame': text, window: text, url: text },
  ...{ username: text, 'password-file': text, ca: text, 'client-id': text },
  ...{ 'mqtt-version': text, every: text },
};
const FLAGS = { rtscts: { type: 'boolean' }, help: { type: 'boolean' } } as const;

type Word = keyof typeof WORDS;

export interface BridgeSettings extends PortSettings {
  readonly framing: 'json' | 'cobs';
  readonly device: string;
  readonly prefix: string;
  readonly maxFrameBytes: number;
  readonly window: number;
  readonly url: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly ca: string | undefined;
  readonly clientId: string;
  readonly mqttVersion: 4 | 5;
  readonly everyMs: number;
}

function usage(detail: string): HeadgateError {
  return new HeadgateError('USAGE', detail);
}

function variableOf(word: string): string {
  return PREFIX + word.toUpperCase().replaceAll('-', '_');
}

/** The settings as they were given, from wherever. */
class Given {
  readonly help: boolean;
  readonly rtscts: boolean;
  readonly #words: Readonly<Record<string, unknown>>;
  readonly #env: NodeJS.ProcessEnv;

  constructor(argv: readonly string[], env: NodeJS.ProcessEnv) {
    this.#env = env;
    let words: ReturnType<typeof parse>;
    try {
      words = parse(argv);
    } catch (error) {
      throw usage(messageOf(error));
    }
    this.#words = words;
    this.help = words.help === true;
    this.rtscts = words.rtscts === true || this.#flag('rtscts');
  }

  #flag(word: string): boolean {
    const value = this.#env[variableOf(word)] ?? '';
    if (/^(1|true|yes)$/i.test(value)) return true;
    if (/^(|0|false|no)$/i.test(value)) return false;
    throw usage(`${variableOf(word)} is 1 or 0, not ${value}`);
  }

  /** An empty variable is as good as none. */
  text(word: Word): string | undefined {
    const typed = this.#words[word];
    if (typeof typed === 'string') return typed;
    return this.#env[variableOf(word)] || undefined;
  }

  whole(word: Word, fallback: number, [min, max]: readonly [number, number]): number {
    const given = this.text(word);
    if (given === undefined) return fallback;
    const value = parseWhole(given, min, max);
    if (value === undefined) throw usage(`--${word} is a whole number from ${min} to ${max}`);
    return value;
  }

  /** One of `choices`; the first of them unless it is given. */
  choice<const T extends string>(word: Word, choices: readonly [T, ...T[]]): T {
    const given = this.text(word);
    if (given === undefined) return choices[0];
    const found = choices.find((choice) => choice === given);
    if (found === undefined) throw usage(`--${word} is one of ${choices.join(', ')}`);
    return found;
  }
}

function parse(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options: { ...WORDS, ...FLAGS } }).values;
}

function urlOf(given: Given): string {
  const url = given.text('url') ?? 'mqtt://127.0.0.1:1883';
  if (!/^(mqtts?|wss?):\/\/./i.test(url) || !URL.canParse(url)) {
    throw usage('--url is no mqtt://, mqtts://, ws:// or wss://');
  }
  // A command line is read by every user of the machine.
  if (new URL(url).password !== '') {
    throw usage('--url has a password in it: give --username and --password-file');
  }
  return url;
}

function deviceOf(given: Given, path: string): string {
  const device = given.text('device') ?? basename(path);
  if (isDeviceName(device)) return device;
  throw usage(
    '--device is one level of a topic: 1 to 128 bytes, without / + # and control characters',
  );
}

function prefixOf(given: Given): string {
  const prefix = (given.text('topic-prefix') ?? 'sensors').replace(/\/$/, '');
  if (prefix !== '' && readingTopic(prefix, 'device', '') !== undefined) return prefix;
  throw usage('--topic-prefix is a topic without wildcards');
}

/** `read`: a small file as text. Throws USAGE, FILE_UNREADABLE. Undefined: help is asked for. */
export function bridgeSettings(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  read: (path: string) => string,
): BridgeSettings | undefined {
  const given = new Given(argv, env);
  if (given.help) return undefined;
  const path = given.text('port');
  if (path === undefined) throw usage('--port is missing: where is the device?');
  const contentOf = (word: 'ca' | 'password-file') => {
    const file = given.text(word);
    return file === undefined ? undefined : read(file);
  };
  const ofPort = basename(path).replace(/[^\w.-]/g, '_');
  return {
    path,
    baud: given.whole('baud', 115_200, [50, 4_000_000]),
    parity: given.choice('parity', ['none', 'even', 'odd']),
    stopBits: given.choice('stop-bits', ['1', '2']) === '1' ? 1 : 2,
    rtscts: given.rtscts,
    framing: given.choice('framing', ['json', 'cobs']),
    device: deviceOf(given, path),
    prefix: prefixOf(given),
    maxFrameBytes: given.whole('max-frame', 1_024, [64, 65_535]),
    window: given.whole('window', 64, [1, 1_000]),
    url: urlOf(given),
    username: given.text('username'),
    password: contentOf('password-file')?.split(/\r?\n/, 1)[0],
    ca: contentOf('ca'),
    clientId: given.text('client-id') ?? `headgate-serial-${hostname()}-${ofPort}`,
    mqttVersion: given.choice('mqtt-version', ['5', '4']) === '4' ? 4 : 5,
    everyMs: given.whole('every', 60, [1, 86_400]) * 1_000,
  };
}
