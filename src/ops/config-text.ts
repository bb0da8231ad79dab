import { isIPv4, isIPv6 } from 'node:net';
import { addressesOf } from '../uplink/uplink-url.ts';

/**
 * What may stand in the texts of the configuration. Each check answers what is wrong, in words that
 * go behind `it is …:`, or undefined. None of them repeats the text: an address may hold a
 * password.
 */

/** Streams that Headgate fills itself. */
export const OWN_STREAMS = ['alerts', 'dead-letter', 'audit'] as const;
/** Names that no stream of the configuration may have. */
export const RESERVED_STREAMS: readonly string[] = OWN_STREAMS;

/** The level of a topic pattern that names the device. */
export const DEVICE_LEVEL = '<device>';

const MAX_TOPIC_CHARACTERS = 256;
const MAX_PATTERN_LEVELS = 32;
const STREAM_NAME = /^[a-z0-9-]{1,32}$/;
const CONTROL = /\p{Cc}/u;
const CLOUD_TOPIC_FIELDS = new Set(['{gateway}', '{stream}', '{device}']);

export function streamNameFault(name: string): string | undefined {
  if (!STREAM_NAME.test(name)) return 'a stream name is 1 to 32 of a-z 0-9 -';
  if (RESERVED_STREAMS.includes(name)) {
    return `the names ${RESERVED_STREAMS.join(', ')} are taken by Headgate itself`;
  }
  return undefined;
}

/** Wrong with the wildcards of one level, if anything is. */
function levelFault(level: string, isLast: boolean): string | undefined {
  if (level === '') return 'a level is empty';
  if (level !== DEVICE_LEVEL && level.includes(DEVICE_LEVEL)) {
    return `${DEVICE_LEVEL} must be a level by itself`;
  }
  if (level !== '+' && level.includes('+')) return '+ must be a level by itself';
  if (level !== '#' && level.includes('#')) return '# must be a level by itself';
  if (level === '#' && !isLast) return '# may only be the last level';
  return undefined;
}

/** A stream's topics: `sensors/<device>/#`. */
export function topicPatternFault(pattern: string): string | undefined {
  if (pattern.length > MAX_TOPIC_CHARACTERS)
    return `longer than ${MAX_TOPIC_CHARACTERS} characters`;
  if (CONTROL.test(pattern)) return 'control characters are not allowed';
  const levels = pattern.split('/');
  if (levels.length > MAX_PATTERN_LEVELS) return `more than ${MAX_PATTERN_LEVELS} levels`;
  for (const [index, level] of levels.entries()) {
    const fault = levelFault(level, index === levels.length - 1);
    if (fault !== undefined) return fault;
  }
  const devices = levels.filter((level) => level === DEVICE_LEVEL).length;
  if (devices !== 1) return `exactly one level must be ${DEVICE_LEVEL}, here it is ${devices}`;
  if (pattern.startsWith('$') || levels[0] === 'headgate') {
    return "topics below headgate/ and those that start with $ are the broker's own";
  }
  return undefined;
}

/** The topic in the cloud: `headgate/{gateway}/{stream}/{device}`. */
export function uplinkTopicFault(topic: string): string | undefined {
  if (topic.length > MAX_TOPIC_CHARACTERS) return `longer than ${MAX_TOPIC_CHARACTERS} characters`;
  if (CONTROL.test(topic)) return 'control characters are not allowed';
  if (/[+#]/.test(topic)) return '+ and # are not allowed in a topic to publish to';
  for (const [field] of topic.matchAll(/\{[^}]*\}?/g)) {
    if (!CLOUD_TOPIC_FIELDS.has(field))
      return `${field} is none of ${[...CLOUD_TOPIC_FIELDS].join(' ')}`;
  }
  return undefined;
}

/** A part of the day, UTC: `06:00-22:00`. */
export function meteredHoursFault(text: string): string | undefined {
  const time = '([01]\\d|2[0-3]):[0-5]\\d';
  if (new RegExp(`^${time}-${time}$`).test(text)) return undefined;
  return 'hours are written like 06:00-22:00';
}

/** A protocol to ask for in the TLS handshake (RFC 7301), or empty. */
export function alpnFault(text: string): string | undefined {
  if (/^[!-~]{0,255}$/.test(text)) return undefined;
  return 'a protocol name is 1 to 255 visible ASCII characters';
}

const SCHEMES = ['mqtt', 'mqtts', 'ws', 'wss', 'nats', 'tls', 'kafka', 'kafkas'];
const SCHEMES_TEXT = `${SCHEMES.slice(0, -1).join('://, ')}:// or ${SCHEMES.at(-1)}://`;

/** The address of the far side. Empty is allowed: no uplink. */
export function uplinkUrlFault(text: string): string | undefined {
  if (text === '') return undefined;
  return addressesOf(text)
    .map(addressFault)
    .find((fault) => fault !== undefined);
}

function addressFault(text: string): string | undefined {
  if (!URL.canParse(text)) return 'not an address such as mqtts://broker.example:8883';
  const url = new URL(text);
  if (!SCHEMES.includes(url.protocol.slice(0, -1))) {
    return `the address must start with ${SCHEMES_TEXT}`;
  }
  // A password with a slash in it makes a path of what is behind.
  if (url.username !== '' || url.password !== '' || url.pathname.includes('@')) {
    return 'user and password do not belong here; use uplink.username and uplink.passwordFile';
  }
  if (url.hostname === '') return 'a host is needed';
  if (url.hostname.includes(',')) return 'only NATS and Kafka take several hosts';
  if (url.port === '0') return 'port 0 cannot be connected to';
  if (url.search !== '' || url.hash !== '') return 'no ? and no # may follow the host';
  if (url.pathname !== '' && url.pathname !== '/' && !url.protocol.startsWith('ws')) {
    return 'only host and port may follow the //; a path is for ws:// and wss://';
  }
  return undefined;
}

/** An address to listen on, or a name that stands for one. */
export function hostFault(host: string): string | undefined {
  if (!/^[A-Za-z0-9_.:%-]{1,253}$/.test(host)) return 'an IP address or a host name is needed';
  if (host.includes(':')) return isIPv6(host) ? undefined : 'that is no IPv6 address';
  if (/^[\d.]+$/.test(host)) return isIPv4(host) ? undefined : 'that is no IPv4 address';
  return undefined;
}

/** An address of this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
