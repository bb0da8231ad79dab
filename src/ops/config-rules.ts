import { protocolOf } from '../uplink/uplink-url.ts';
import type { Config } from './config.ts';
import { gpioFaults } from './config-gpio-rules.ts';
import type { Rule, RuleFault } from './config-rule.ts';
import { DEVICE_LEVEL, isLoopback, OWN_STREAMS } from './config-text.ts';
import { presetFaults } from './preset-rules.ts';

const openListener: Rule = ({ mqtt }) => {
  if (isLoopback(mqtt.host) || mqtt.allowAnonymous) return undefined;
  return {
    path: ['mqtt', 'host'],
    others: [['mqtt', 'allowAnonymous']],
    message: `mqtt.host is ${mqtt.host}: whoever reaches that address could publish and subscribe`,
    mend:
      'put "host: 127.0.0.1" under "mqtt:" to stay on this machine, or "allowAnonymous: true" ' +
      'there (variable: HEADGATE_MQTT_ALLOW_ANONYMOUS=true) to let everyone in who reaches it',
  };
};

const payloadInPacket: Rule = ({ mqtt }) => {
  if (mqtt.maxPayloadBytes <= mqtt.maxPacketBytes) return undefined;
  return {
    path: ['mqtt', 'maxPayloadBytes'],
    others: [['mqtt', 'maxPacketBytes']],
    message:
      `mqtt.maxPayloadBytes is ${mqtt.maxPayloadBytes}, more than a packet may have ` +
      `(mqtt.maxPacketBytes is ${mqtt.maxPacketBytes})`,
    mend: `lower it to ${mqtt.maxPacketBytes}, or raise mqtt.maxPacketBytes`,
  };
};

const payloadInSegment: Rule = ({ mqtt, log }) => {
  const most = Math.floor(log.segmentBytes / 4);
  if (mqtt.maxPayloadBytes <= most) return undefined;
  return {
    path: ['mqtt', 'maxPayloadBytes'],
    others: [['log', 'segmentBytes']],
    message:
      `mqtt.maxPayloadBytes is ${mqtt.maxPayloadBytes}, more than a quarter of a segment ` +
      `(log.segmentBytes is ${log.segmentBytes})`,
    mend: `lower it to ${most}, or raise log.segmentBytes`,
  };
};

/** One packet that never finds room would be sent again and again. */
const roomToPend: Rule = ({ mqtt, log }) => {
  const least = mqtt.maxPacketBytes * 2;
  if (log.maxPendingBytes >= least) return undefined;
  return {
    path: ['log', 'maxPendingBytes'],
    others: [['mqtt', 'maxPacketBytes']],
    message: `log.maxPendingBytes is ${log.maxPendingBytes}, less than two of the largest packets`,
    mend: `raise it to at least ${least}, or lower mqtt.maxPacketBytes`,
  };
};

/** The active segment, the file of the next, one that is being packed, and one to keep. */
const roomToRoll: Rule = ({ log }) => {
  const least = log.segmentBytes * 4;
  if (log.retention.maxBytes >= least) return undefined;
  return {
    path: ['log', 'retention', 'maxBytes'],
    others: [['log', 'segmentBytes']],
    message: `log.retention.maxBytes is ${log.retention.maxBytes}, less than four segments`,
    mend: `raise it to at least ${least}, or lower log.segmentBytes`,
  };
};

/** A stretched linger that is no longer than the plain one stretches nothing. */
const roomToStretch: Rule = ({ flash, log }) => {
  if (flash.budgetMBPerDay === 0 || flash.maxLingerMs > log.lingerMs) return undefined;
  return {
    path: ['flash', 'maxLingerMs'],
    others: [
      ['flash', 'budgetMBPerDay'],
      ['log', 'lingerMs'],
    ],
    message:
      `flash.maxLingerMs is ${flash.maxLingerMs}, not above log.lingerMs (${log.lingerMs}): ` +
      'flash.budgetMBPerDay could never save anything',
    mend: 'raise it (the default is 5000), lower log.lingerMs, or leave the budget out',
  };
};

const reconnectRange: Rule = ({ uplink }) => {
  if (uplink.reconnectMinMs <= uplink.reconnectMaxMs) return undefined;
  return {
    path: ['uplink', 'reconnectMinMs'],
    others: [['uplink', 'reconnectMaxMs']],
    message:
      `uplink.reconnectMinMs is ${uplink.reconnectMinMs}, ` +
      `more than uplink.reconnectMaxMs (${uplink.reconnectMaxMs})`,
    mend: 'swap the two, or leave both out',
  };
};

const uplinkStreams: Rule = ({ uplink, streams }) => {
  const known = [...Object.keys(streams), ...OWN_STREAMS];
  return uplink.streams.flatMap((name, index) =>
    known.includes(name)
      ? []
      : {
          path: ['uplink', 'streams', String(index)],
          others: [['streams']],
          message: `uplink.streams names "${name}", but the streams are ${known.join(', ')}`,
        },
  );
};

const passwordNeedsUser: Rule = ({ uplink }) => {
  if (uplink.passwordFile === '' || uplink.username !== '') return undefined;
  const protocol = protocolOf(uplink.url);
  // There it is a token.
  if (protocol === 'nats') return undefined;
  const name = protocol === 'kafka' ? 'Kafka' : 'MQTT';
  return {
    path: ['uplink', 'passwordFile'],
    others: [
      ['uplink', 'preset'],
      ['uplink', 'username'],
      ['uplink', 'url'],
    ],
    message: `uplink.passwordFile is set, but ${name} takes no password without a user name`,
    mend: 'set uplink.username as well',
  };
};

const certificateNeedsKey: Rule = ({ uplink }) => {
  if ((uplink.certFile === '') === (uplink.keyFile === '')) return undefined;
  const [is, isNot] = uplink.certFile === '' ? ['keyFile', 'certFile'] : ['certFile', 'keyFile'];
  return {
    path: ['uplink', is],
    others: [['uplink', isNot]],
    message: `uplink.${is} is set and uplink.${isNot} is not; mutual TLS needs both`,
    mend: `set uplink.${isNot}, or leave both out`,
  };
};

/** What to write instead of a scheme that is not encrypted. */
const ENCRYPTED: Readonly<Record<string, string>> = {
  'mqtt:': 'mqtts:// in uplink.url (the port is 8883 as a rule)',
  'ws:': 'wss:// in uplink.url (the port is another one as a rule)',
  'nats:': 'tls:// in uplink.url',
  'kafka:': 'kafkas:// in uplink.url (the port is another one as a rule)',
};

const filesNeedTls: Rule = ({ uplink }) => {
  const scheme = uplink.url.slice(0, uplink.url.indexOf('//'));
  const better = ENCRYPTED[scheme];
  if (better === undefined) return undefined;
  return (['caFile', 'certFile', 'keyFile', 'serverName', 'alpn'] as const).flatMap((name) =>
    uplink[name] === ''
      ? []
      : {
          path: ['uplink', name],
          others: [['uplink', 'url']],
          message: `uplink.${name} is set, but uplink.url is ${scheme}//, which is not encrypted`,
          mend: `write ${better}`,
        },
  );
};

/** MQTT 3.1.1 has no place for them: records would arrive without their identity. */
const propertiesNeedPlace: Rule = ({ uplink }) => {
  const { identity, shape, protocolVersion, url } = uplink;
  if (identity !== 'properties' || shape !== 'raw' || protocolVersion === 5) return undefined;
  if (protocolOf(url) !== 'mqtt') return undefined;
  return {
    path: ['uplink', 'identity'],
    others: [
      ['uplink', 'preset'],
      ['uplink', 'shape'],
      ['uplink', 'protocolVersion'],
      ['uplink', 'url'],
    ],
    message:
      'uplink.identity is properties, and MQTT 3.1.1 has none: what arrives would not say which ' +
      'record it is',
    mend: 'set uplink.protocolVersion to 5, or leave uplink.identity out',
  };
};

/** The clients of the others ask for none. */
const tlsNamesNeedMqtt: Rule = ({ uplink }) => {
  if (protocolOf(uplink.url) === 'mqtt') return undefined;
  return (['serverName', 'alpn'] as const).flatMap((name) =>
    uplink[name] === ''
      ? []
      : {
          path: ['uplink', name],
          others: [['uplink', 'url']],
          message: `uplink.${name} is set, and only an uplink over MQTT asks for it`,
          mend: 'leave it out',
        },
  );
};

/** True if every topic that `inner` matches is one that `outer` matches, level by level. */
function covers(outer: readonly string[], inner: readonly string[]): boolean {
  for (const [i, level] of outer.entries()) {
    if (level === '#') return true;
    const other = inner[i];
    if (other === undefined || other === '#') return false;
    if (level !== '+' && level !== DEVICE_LEVEL && level !== other) return false;
  }
  return outer.length === inner.length;
}

/** The first pattern that matches a topic takes it, so one behind a wider one gets nothing. */
const takenTopics: Rule = ({ streams }) => {
  const patterns = Object.entries(streams).flatMap(([stream, { topics }]) =>
    topics.map((pattern, index) => ({ stream, pattern, index, levels: pattern.split('/') })),
  );
  return patterns.flatMap(({ stream, pattern, index, levels }, at) => {
    const before = patterns.slice(0, at).find((other) => covers(other.levels, levels));
    if (before === undefined) return [];
    return {
      path: ['streams', stream, 'topics', String(index)],
      others: [],
      message: `all topics of "${pattern}" go to stream ${before.stream}, by "${before.pattern}"`,
      mend: `put it before that one, or leave it out`,
    };
  });
};

/** A reading on such a topic would cost its sender the connection, each time. */
const topicsInLevels: Rule = ({ streams, mqtt }) =>
  Object.entries(streams).flatMap(([stream, { topics }]) =>
    topics.flatMap((pattern, index) => {
      // `a/#` matches `a` too.
      const levels = pattern.split('/').filter((level) => level !== '#').length;
      if (levels <= mqtt.maxTopicLevels) return [];
      return {
        path: ['streams', stream, 'topics', String(index)],
        others: [['mqtt', 'maxTopicLevels']],
        message:
          `topics of "${pattern}" have ${levels} levels or more, and a client may use ` +
          `${mqtt.maxTopicLevels} (mqtt.maxTopicLevels)`,
        mend: `raise mqtt.maxTopicLevels to at least ${levels}`,
      };
    }),
  );

const windowInAll: Rule = ({ streams, dedup }) =>
  Object.entries(streams).flatMap(
    ([
      stream,
      {
        dedup: { windowIds },
      },
    ]) =>
      windowIds <= dedup.maxIds + dedup.maxStoredIds
        ? []
        : {
            path: ['streams', stream, 'dedup', 'windowIds'],
            others: [
              ['dedup', 'maxIds'],
              ['dedup', 'maxStoredIds'],
            ],
            message:
              `streams.${stream}.dedup.windowIds is ${windowIds}, more than are remembered of ` +
              `all devices together (dedup.maxStoredIds is ${dedup.maxStoredIds})`,
            mend: 'lower it, or raise dedup.maxStoredIds: so many for each device that has them',
          },
  );

/** Formats that a sender chooses the fields of. */
const FREE_FORMATS: readonly string[] = ['auto', 'json', 'cbor'];

const metricsOfFormat: Rule = ({ streams }) =>
  Object.entries(streams).flatMap(([stream, { format, metrics }]) =>
    metrics.length === 0 || FREE_FORMATS.includes(format)
      ? []
      : {
          path: ['streams', stream, 'metrics'],
          others: [['streams', stream, 'format']],
          message:
            `streams.${stream}.metrics has no meaning with format ${format}, which says itself ` +
            'what is measured',
          mend: `leave it out; it is for the formats ${FREE_FORMATS.join(', ')}`,
        },
  );

/** Formats without anything that a pointer could look into. */
const FLAT_FORMATS: readonly string[] = ['number', 'raw'];

const idInFormat: Rule = ({ streams }) =>
  Object.entries(streams).flatMap(([stream, { format, dedup }]) =>
    (['idFrom', 'bootFrom'] as const).flatMap((name) =>
      FLAT_FORMATS.includes(format) && dedup[name].startsWith('pointer:')
        ? {
            path: ['streams', stream, 'dedup', name],
            others: [['streams', stream, 'format']],
            message:
              `streams.${stream}.dedup.${name} points into the payload, and format ${format} has ` +
              'nothing to point into',
            mend: 'take a topic level or a user property, or another format',
          }
        : [],
    ),
  );

/** Formats whose messages have no id of their own. */
const NAMELESS_FORMATS: readonly string[] = ['number', 'raw', 'influx', 'senml', 'senml-cbor'];

/** Nothing would ever be a repeat, and nobody be told. */
const idInMode: Rule = ({ streams }) =>
  Object.entries(streams).flatMap(([stream, { format, dedup }]) => {
    const wantsId = dedup.mode === 'id' || dedup.mode === 'sequence';
    if (!wantsId || dedup.idFrom !== 'payload' || !NAMELESS_FORMATS.includes(format)) return [];
    return {
      path: ['streams', stream, 'dedup', 'mode'],
      others: [
        ['streams', stream, 'format'],
        ['streams', stream, 'dedup', 'idFrom'],
      ],
      message:
        `streams.${stream}.dedup.mode is ${dedup.mode}, and messages of format ${format} have no ` +
        'id of their own: no repeat would be known',
      mend: 'name the place of the id with idFrom, or take mode payload or none',
    };
  });

/**
 * A level that a topic of the stream does not have, or that is the same in all of them: readings
 * would have no id, or one and the same.
 */
function idLevelFault(topic: string, level: number): string | undefined {
  const levels = topic.split('/');
  const at = levels[level - 1];
  if (at === '+' || at === '#' || (at === undefined && levels.at(-1) === '#')) return undefined;
  return at === undefined ? 'has no such level' : `has always the same there for a device: ${at}`;
}

const idLevelInTopics: Rule = ({ streams }) =>
  Object.entries(streams).flatMap(([stream, { topics, dedup }]) => {
    const level = Number(/^topic:(\d+)$/.exec(dedup.idFrom)?.[1] ?? 0);
    if (level === 0) return [];
    return topics.flatMap((topic) => {
      const fault = idLevelFault(topic, level);
      if (fault === undefined) return [];
      return {
        path: ['streams', stream, 'dedup', 'idFrom'],
        others: [['streams', stream, 'topics']],
        message: `streams.${stream}.dedup.idFrom is ${dedup.idFrom}, and ${topic} ${fault}`,
        mend: 'name a level where each message of a device has another text; the first is 1',
      };
    });
  });

const RULES: readonly Rule[] = [
  idInMode,
  idLevelInTopics,
  openListener,
  payloadInPacket,
  payloadInSegment,
  roomToPend,
  roomToRoll,
  roomToStretch,
  reconnectRange,
  uplinkStreams,
  passwordNeedsUser,
  certificateNeedsKey,
  filesNeedTls,
  tlsNamesNeedMqtt,
  propertiesNeedPlace,
  takenTopics,
  topicsInLevels,
  windowInAll,
  metricsOfFormat,
  idInFormat,
  gpioFaults,
];

export function faultsBetween(config: Config): RuleFault[] {
  return [...RULES.flatMap((rule) => rule(config) ?? []), ...presetFaults(config)];
}
