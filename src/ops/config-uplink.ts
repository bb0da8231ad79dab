import * as v from 'valibot';
import { PRESET_NAMES } from './cloud-presets.ts';
import { choice, decimal, matching, PATH, text, whole } from './config-kinds.ts';
import { MAX_STREAMS } from './config-streams.ts';
import {
  alpnFault,
  hostFault,
  meteredHoursFault,
  uplinkTopicFault,
  uplinkUrlFault,
} from './config-text.ts';

/** The settings of the uplink: see `config.ts`. */

const USER = matching(/^\P{Cc}{0,256}$/u, 'up to 256 characters');
const URL_TEXT = {
  allowed:
    'mqtt://host:port or mqtts://host:port; ws://host:port/path or wss://; nats://, tls://, ' +
    'kafka:// or kafkas:// and hosts with commas between them; or empty',
  fault: uplinkUrlFault,
};
const ALPN = { allowed: 'a protocol name, or empty', fault: alpnFault };
const SERVER_NAME = {
  allowed: 'a host name, or empty',
  fault: (name: string) => (name === '' ? undefined : hostFault(name)),
};
const CLOUD_TOPIC = {
  allowed: 'an MQTT topic; {gateway}, {stream} and {device} are filled in; or empty',
  fault: uplinkTopicFault,
};

const budget = v.strictObject({
  kbitPerSecond: decimal(
    0,
    0,
    1_000_000,
    'Thousands of bits a second that the uplink may send, counted over some seconds. 0: no limit.',
  ),
  publishesPerSecond: decimal(
    0,
    0,
    100_000,
    'Publishes a second that the uplink may send, counted over some seconds. 0: no limit.',
  ),
  mbPerDay: decimal(
    0,
    0,
    1_000_000,
    'Megabytes (10^6 bytes) that the uplink may send in a day of running time, spread over it. ' +
      'Alerts go also when it is used up, and are counted. 0 is no limit.',
  ),
  meteredHours: v.nullish(
    v.pipe(
      v.array(
        v.pipe(
          v.string(),
          v.check(
            (value) => meteredHoursFault(value) === undefined,
            (issue) => meteredHoursFault(String(issue.input)) ?? '',
          ),
        ),
      ),
      v.maxLength(24),
      v.description(
        'Hours in which the link costs money, UTC: `06:00-22:00`, or `22:00-06:00` over ' +
          'midnight. The backlog waits until they are over. While the clock is not set, all are.',
      ),
    ),
    [],
  ),
  meteredLanes: choice(
    ['fresh', 'alerts'],
    'fresh',
    'What goes in metered hours: `fresh` is alerts and what comes in while the link is up, ' +
      '`alerts` is alerts alone.',
  ),
});

export const uplink = v.strictObject({
  preset: choice(
    PRESET_NAMES,
    'none',
    'The cloud, if it is one of these: fills in what is left empty here (port, user name, topic, ' +
      'limits), and what that cloud would refuse is an error (docs/presets.md).',
  ),
  url: text('', URL_TEXT, 'The far side (docs/uplink.md). Empty: readings stay on the gateway.'),
  clientId: text(
    '',
    USER,
    'MQTT client id; `{gateway}` is filled in. Empty: `headgate-` and the id of the gateway.',
  ),
  username: text('', USER, 'MQTT user name; `{gateway}` is filled in.'),
  passwordFile: text(
    '',
    PATH,
    'File whose first line is the password. The password never stands here. Paths are taken ' +
      'from the working directory on.',
  ),
  saslMechanism: choice(
    ['plain', 'scram-sha-256', 'scram-sha-512'],
    'plain',
    'Kafka alone: how user name and password are shown to the brokers. `plain` shows the ' +
      'password itself, so it wants kafkas://.',
  ),
  protocolVersion: v.nullish(
    v.pipe(
      v.picklist([4, 5] as const),
      v.description('MQTT version: 4 is MQTT 3.1.1, 5 is MQTT 5.'),
    ),
    4,
  ),
  shape: choice(
    ['raw', 'batch'],
    'raw',
    '`raw`: each record is one publish. `batch`: many records, compressed, are one publish ' +
      '(docs/envelope.md).',
  ),
  identity: choice(
    ['wrapper', 'properties'],
    'wrapper',
    'Where shape `raw` puts the identity of a record: `wrapper` is a JSON object around its ' +
      'payload, `properties` leaves the payload as it came and uses user properties (MQTT 5) or ' +
      'headers.',
  ),
  topic: text(
    '',
    CLOUD_TOPIC,
    'Topic in the cloud. Empty: `headgate/{gateway}/{stream}/{device}` in shape `raw` and ' +
      '`headgate/{gateway}/{stream}` in shape `batch`.',
  ),
  window: whole(1000, 1, 60_000, 'Publishes on their way at one time.'),
  maxInFlightBytes: whole(
    262_144,
    1024,
    16_777_216,
    'Bytes on their way at one time, or one publish. More fills a fast link that is far away; ' +
      'less lets a fresh reading pass sooner on a slow one.',
  ),
  maxBytes: whole(
    0,
    0,
    16_777_216,
    'Largest publish that the cloud takes, topic and all; 0: what the broker says of itself, and ' +
      '131072 for a batch. A record that does not fit alone becomes a dead letter.',
  ),
  lingerMs: whole(
    1000,
    0,
    3_600_000,
    'How long a fresh record may wait for others to share a batch with, in ms.',
  ),
  compression: choice(['deflate', 'none'], 'deflate', 'Of batches.'),
  order: choice(
    ['fresh', 'strict'],
    'fresh',
    'After an outage. `fresh`: what comes in goes first, and what waited goes beside it, marked ' +
      'historical. `strict`: each partition is sent in the order of its offsets.',
  ),
  backlogShare: decimal(
    0.2,
    0.01,
    0.99,
    'Part of the publishes that the backlog gets while fresh records wait as well.',
  ),
  budget: v.nullish(budget, {}),
  streams: v.nullish(
    v.pipe(
      v.array(v.string()),
      v.maxLength(MAX_STREAMS + 3),
      v.description('Names of the streams to forward; an empty list is all of them.'),
    ),
    [],
  ),
  ackTimeoutMs: whole(
    20_000,
    100,
    600_000,
    'Wait for an acknowledgement before the link is given up, in ms.',
  ),
  keepaliveSeconds: whole(30, 5, 65_535, 'MQTT keepalive towards the cloud, in seconds.'),
  reconnectMinMs: whole(500, 10, 3_600_000, 'Shortest wait before a new try, in ms.'),
  reconnectMaxMs: whole(60_000, 10, 3_600_000, 'Longest wait before a new try, in ms.'),
  checkpointMs: whole(
    1000,
    10,
    3_600_000,
    'How often the progress of the uplink is stored, in ms.',
  ),
  caFile: text('', PATH, 'CA certificates (PEM) to trust instead of the built-in ones.'),
  certFile: text('', PATH, 'Certificate (PEM) of this gateway, for mutual TLS.'),
  keyFile: text('', PATH, 'Private key (PEM) of this gateway, for mutual TLS.'),
  serverName: text(
    '',
    SERVER_NAME,
    'Name that TLS asks for (SNI) and looks for in the certificate. Empty: the host of the URL.',
  ),
  alpn: text(
    '',
    ALPN,
    'Protocol that TLS asks for (ALPN), where a port is shared by several. Empty: none.',
  ),
});
