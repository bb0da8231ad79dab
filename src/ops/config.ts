import * as v from 'valibot';
import { alerts, limits } from './config-alerts.ts';
import { downlink } from './config-downlink.ts';
import { gpio } from './config-gpio.ts';
import { choice, decimal, flag, matching, PATH, text, whole } from './config-kinds.ts';
import { streams } from './config-streams.ts';
import { hostFault } from './config-text.ts';
import { uplink } from './config-uplink.ts';
import { CONFIG_VERSION } from './config-version.ts';

/**
 * Every setting, once: its type, bounds, default and meaning. The types, the checks, the
 * environment variables, docs/config.md and the default file all come from this table. Units stand
 * last in a name. An empty value in the file (`port:`) means the default.
 */

const ID = matching(/^[A-Za-z0-9_.-]{0,64}$/, 'up to 64 of A-Z a-z 0-9 _ . -');
const HOST = { allowed: 'an IP address or a host name', fault: hostFault };

const mqtt = v.strictObject({
  host: text(
    '127.0.0.1',
    HOST,
    'Address to listen on. Anything but loopback needs `mqtt.allowAnonymous: true`.',
  ),
  port: whole(1883, 0, 65_535, 'Port to listen on; 0 takes any free one.'),
  allowAnonymous: flag(
    false,
    'Says that whoever reaches a listener beyond loopback may publish and subscribe.',
  ),
  maxConnections: whole(1000, 1, 100_000, 'Clients at one time; more are refused.'),
  maxPacketBytes: whole(
    2_097_152,
    1024,
    16_777_216,
    'Largest MQTT packet; the sender of a larger one is cut off.',
  ),
  maxPayloadBytes: whole(
    262_144,
    1,
    8_388_608,
    'Largest payload of a reading; a larger one is dead-lettered.',
  ),
  maxTopicLevels: whole(16, 1, 100, 'Levels that a topic or a subscription may have.'),
  maxSessions: whole(
    1000,
    0,
    100_000,
    'Sessions that outlive their connections; beyond it a new one ends with its connection.',
  ),
  maxRetainedBytes: whole(
    16_777_216,
    0,
    1_073_741_824,
    'Retained messages in all; beyond it a message is passed on and not retained.',
  ),
  keepaliveLimitSeconds: whole(
    0,
    0,
    65_535,
    'Longest keepalive that a client may ask for; 0 is no limit.',
  ),
});

const retention = v.strictObject({
  maxBytes: whole(
    1_073_741_824,
    4_194_304,
    1_099_511_627_776,
    'Space for the log; beyond it the oldest segments go.',
  ),
  maxAgeHours: whole(
    0,
    0,
    87_600,
    'Age at which readings may go, in hours of running time; 0 is never.',
  ),
  minFreeBytes: whole(
    67_108_864,
    0,
    1_099_511_627_776,
    'Space that stays free in the file system of the log: while there is less, the oldest ' +
      'segments go. 0 is none.',
  ),
});

const log = v.strictObject({
  lingerMs: whole(
    5,
    0,
    10_000,
    'How long a commit waits for company, in ms. Longer is kinder to the card; acks wait.',
  ),
  segmentBytes: v.nullish(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1_048_576),
      v.maxValue(268_435_456),
      v.multipleOf(4096),
      v.description('Size of a segment file.'),
    ),
    4_194_304,
  ),
  compression: choice(
    ['auto', 'deflate', 'none'],
    'auto',
    'How blocks are compressed where that pays. `auto`: zstd where this Node has it, else ' +
      'deflate; a Node before 22.15 can read deflate only.',
  ),
  packing: flag(
    true,
    'Sealed segments that are mostly padding are written once more, dense, and their files used ' +
      'again.',
  ),
  maxPendingBytes: whole(
    33_554_432,
    1_048_576,
    1_073_741_824,
    'Readings that may wait in memory for the flash; beyond it they are refused.',
  ),
  retention: v.nullish(retention, {}),
});

const flash = v.strictObject({
  budgetMBPerDay: decimal(
    0,
    0,
    1_000_000,
    'Megabytes (10^6 bytes) a day that Headgate means to write. When it is ahead of that, ' +
      'commits wait longer for company, up to `flash.maxLingerMs`; nothing is refused. 0 is none.',
  ),
  maxLingerMs: whole(
    5000,
    0,
    60_000,
    'Longest that the budget makes a reading wait for its commit, in ms. One commit of 4 KiB ' +
      'every 5 s is 71 MB a day.',
  ),
  cardTBW: decimal(
    2,
    0.001,
    100_000,
    'Terabytes (10^12 bytes) that the card may be written before it wears out, for the years in ' +
      '`headgate status`. Few makers of consumer cards state it; 2 is a 16 GB card whose cells ' +
      'take 500 writes, with each write made four times over by its controller.',
  ),
});

const dedup = v.strictObject({
  maxIds: whole(
    200_000,
    1000,
    10_000_000,
    'Ids of a stream in memory, 36 bytes each, and of an eighth as many devices and boots, half ' +
      'a kilobyte each. Those of the windows that are more stand in the state store.',
  ),
  maxStoredIds: whole(
    2_000_000,
    10_000,
    100_000_000,
    'Ids of a stream in the state store, 24 bytes each there and 2.5 in memory. Beyond it the ' +
      'oldest are forgotten before their window ends, which is logged.',
  ),
});

const detect = v.strictObject({
  enabled: flag(true, 'Looks for anomalies and raises alerts.'),
  maxSeries: whole(
    50_000,
    1,
    1_000_000,
    'Series (device and metric) watched; beyond it new ones are not.',
  ),
  hotSeries: whole(
    10_000,
    1,
    1_000_000,
    'Series of a stream whose states are kept ready in memory: those that sent last. The others ' +
      'are read back from the state store when their device sends again.',
  ),
  checkpointMs: whole(
    10_000,
    100,
    3_600_000,
    'Shortest time between two checkpoints of detection, in ms. They are further apart where ' +
      'they would write more than a twentieth of what the log does.',
  ),
});

const windows = v.strictObject({
  enabled: flag(
    true,
    'Keeps last values and rolling windows of 1 min, 15 min and 1 h. They get what detection ' +
      'reads, so there are none where `detect.enabled` is false.',
  ),
  maxSeries: whole(
    2_000,
    1,
    100_000,
    'Series (device and metric) with windows, up to 11 KB each; beyond it new ones have none. ' +
      'One that is silent for an hour gives its place up, and its last value is stored.',
  ),
  publish: flag(false, 'Publishes each series, retained, on `headgate/state/<device>/<metric>`.'),
  publishMs: whole(
    60_000,
    1_000,
    86_400_000,
    'Shortest time between two such messages of a series, in ms. Each is written to the flash.',
  ),
});

const audit = v.strictObject({
  bucketMs: whole(
    60_000,
    1000,
    86_400_000,
    'The stretch of event time whose readings are counted together, in ms. After a change what ' +
      'is open is counted as one.',
  ),
  lateMs: whole(
    120_000,
    100,
    86_400_000,
    'How long after its end a bucket is closed at the earliest, in ms. What comes still later ' +
      'is a further entry.',
  ),
});

const logger = v.strictObject({
  level: choice(['debug', 'info', 'warn', 'error'], 'info', 'Least level that is shown.'),
  format: choice(
    ['auto', 'json', 'text', 'journald'],
    'auto',
    'Shape of the lines. `auto`: `text` on a terminal, `journald` under systemd, else `json`.',
  ),
});

export const ConfigSchema = v.strictObject({
  version: whole(
    CONFIG_VERSION,
    1,
    CONFIG_VERSION,
    'Version of the settings that the file is written for. A release reads those of before as ' +
      'well, says what has changed, and leaves the file alone; a newer one it refuses.',
  ),
  gateway: v.nullish(
    v.strictObject({
      id: text(
        '',
        ID,
        'Name of this gateway in the cloud. Empty: the one it had last, at first that of the host.',
      ),
    }),
    {},
  ),
  data: v.nullish(
    v.strictObject({
      dir: text(
        '',
        PATH,
        'Folder of the log and the state, from the working directory on. Empty: ' +
          '`$STATE_DIRECTORY`, which systemd sets, or else `./data`.',
      ),
    }),
    {},
  ),
  mqtt: v.nullish(mqtt, {}),
  streams,
  log: v.nullish(log, {}),
  flash: v.nullish(flash, {}),
  dedup: v.nullish(dedup, {}),
  detect: v.nullish(detect, {}),
  alerts: v.nullish(alerts, {}),
  limits,
  windows: v.nullish(windows, {}),
  gpio: v.nullish(gpio, {}),
  uplink: v.nullish(uplink, {}),
  downlink: v.nullish(downlink, {}),
  audit: v.nullish(audit, {}),
  logger: v.nullish(logger, {}),
});

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** The whole configuration, complete and frozen. */
export type Config = DeepReadonly<v.InferOutput<typeof ConfigSchema>>;

/**
 * Freezes a value all the way down. The configuration is shared by every part; nobody may bend it.
 */
export function deepFreeze<T>(value: T): DeepReadonly<T> {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value as DeepReadonly<T>;
}
