import { DEFAULT_TOPICS } from '../uplink/envelope.ts';
import { type CloudPreset, kbitPerSecond, presetOf } from './cloud-presets.ts';
import type { Config } from './config.ts';
import type { RuleFault } from './config-rule.ts';
import { OWN_STREAMS } from './config-text.ts';

/** What the cloud that `uplink.preset` names would refuse, and what to know of it. Pure. */

type PresetRule = (config: Config, preset: CloudPreset) => RuleFault | undefined;
type Uplink = Config['uplink'];

/** Of a name that a device gives itself. */
const MAX_DEVICE_BYTES = 128;
/** Of the name of a host, which is the id of a gateway without another. */
const MAX_HOST_BYTES = 64;
/** What a wrapper and a topic take beside a payload, about. */
const AROUND_BYTES = 1024;

const schemeOf = ({ url }: Uplink) => url.split('://', 1)[0] ?? '';

function fault(name: keyof Uplink, message: string, mend: string): RuleFault {
  const others = [
    ['uplink', 'preset'],
    ['uplink', 'url'],
  ];
  return { path: ['uplink', name], others, message, mend };
}

/** A number beyond a limit. 0 is no limit. */
function above(
  path: readonly string[],
  [value, limit]: readonly [number, number],
  title: string,
): RuleFault | undefined {
  if (limit === 0 || value <= limit) return undefined;
  return {
    path,
    others: [['uplink', 'preset']],
    message: `${path.join('.')} is ${value}, and ${title} takes ${limit} at most`,
    mend: `lower it to ${limit}, or leave it out`,
  };
}

function noUrl({ uplink }: Config, { title }: CloudPreset): RuleFault {
  return fault(
    'preset',
    `uplink.preset is ${uplink.preset}, and uplink.url is empty: nothing would be sent`,
    `set uplink.url to the host that ${title} gave you, or leave the preset out`,
  );
}

const schemeTaken: PresetRule = ({ uplink }, { title, ports }) => {
  if (Object.hasOwn(ports, schemeOf(uplink))) return undefined;
  const schemes = Object.keys(ports).map((scheme) => `${scheme}://`);
  return fault(
    'url',
    `uplink.url is ${schemeOf(uplink)}://, and ${title} takes ${schemes.join(' and ')} only`,
    `write ${schemes[0]}, or the host alone`,
  );
};

const versionTaken: PresetRule = ({ uplink }, { title, versions }) =>
  versions.includes(uplink.protocolVersion)
    ? undefined
    : fault(
        'protocolVersion',
        `uplink.protocolVersion is ${uplink.protocolVersion}, and ${title} speaks MQTT 3.1.1 only`,
        'set it to 4, or leave it out',
      );

const shapeTaken: PresetRule = ({ uplink }, { title, shapes }) =>
  shapes.includes(uplink.shape)
    ? undefined
    : fault(
        'shape',
        `uplink.shape is ${uplink.shape}, and ${title} takes JSON of its own only`,
        `set it to ${shapes.join(' or ')}`,
      );

/** What to set for a login; a user name that the preset knows by itself is left out. */
function loginMend(login: CloudPreset['logins'][number], { username }: CloudPreset): string {
  if (login === 'certificate') return 'uplink.certFile and uplink.keyFile';
  if (login === 'user') return 'uplink.username';
  return `${username === undefined ? 'uplink.username and ' : ''}uplink.passwordFile`;
}

const loginGiven: PresetRule = ({ uplink }, preset) => {
  const { title, certificateSchemes } = preset;
  const scheme = schemeOf(uplink);
  const logins = preset.logins.filter(
    (login) => login !== 'certificate' || certificateSchemes.includes(scheme),
  );
  const has = {
    certificate: uplink.certFile !== '' && uplink.keyFile !== '',
    password: uplink.username !== '' && uplink.passwordFile !== '',
    user: uplink.username !== '',
  };
  if (logins.length === 0 || logins.some((login) => has[login])) return undefined;
  const others = ['username', 'passwordFile', 'certFile', 'keyFile'].map((at) => ['uplink', at]);
  const message = `${title} lets nobody in over ${scheme}:// who does not say and prove who it is`;
  const mend = `set ${logins.map((login) => loginMend(login, preset)).join(', or ')}`;
  return { ...fault('preset', message, mend), others };
};

const keepaliveTaken: PresetRule = ({ uplink }, { title, limits }) =>
  above(['uplink', 'keepaliveSeconds'], [uplink.keepaliveSeconds, limits.keepaliveSeconds], title);

const windowTaken: PresetRule = ({ uplink }, { title, limits }) =>
  above(['uplink', 'window'], [uplink.window, limits.window], title);

const bytesTaken: PresetRule = ({ uplink }, { title, limits }) =>
  above(['uplink', 'maxBytes'], [uplink.maxBytes, limits.maxBytes], title);

const publishesTaken: PresetRule = ({ uplink: { budget } }, { title, limits }) => {
  const pair = [budget.publishesPerSecond, limits.publishesPerSecond] as const;
  return above(['uplink', 'budget', 'publishesPerSecond'], pair, title);
};

const bitsTaken: PresetRule = ({ uplink: { budget } }, { title, limits }) => {
  const pair = [budget.kbitPerSecond, kbitPerSecond(limits)] as const;
  return above(['uplink', 'budget', 'kbitPerSecond'], pair, title);
};

function topicOf({ topic, shape }: Uplink): string {
  return topic || DEFAULT_TOPICS[shape];
}

const longestGateway = ({ gateway }: Config) => gateway.id || 'x'.repeat(MAX_HOST_BYTES);

/** With the longest names that there can be. */
function longestTopic(config: Config): string {
  const { uplink, streams } = config;
  const names = [...Object.keys(streams), ...OWN_STREAMS].filter(
    (name) => uplink.streams.length === 0 || uplink.streams.includes(name),
  );
  const stream = names.reduce((a, b) => (b.length > a.length ? b : a), '');
  return topicOf(uplink)
    .replaceAll('{gateway}', longestGateway(config))
    .replaceAll('{stream}', stream)
    .replaceAll('{device}', uplink.shape === 'raw' ? 'x'.repeat(MAX_DEVICE_BYTES) : '_');
}

const topicFits: PresetRule = (config, { title, limits, freeLevels, topicForm }) => {
  const topic = topicOf(config.uplink);
  if (topicForm !== undefined && !topicForm.pattern.test(topic)) {
    const message = `uplink.topic is none that ${title} takes: ${topicForm.text}`;
    return fault('topic', message, 'leave it out');
  }
  const isFree = freeLevels !== undefined && topic.startsWith(freeLevels.prefix);
  const levels = topic.split('/').length - (isFree ? freeLevels.levels : 0);
  if (limits.topicLevels !== 0 && levels > limits.topicLevels) {
    return fault(
      'topic',
      `uplink.topic has ${levels} levels, and ${title} takes ${limits.topicLevels} at most`,
      'take levels out of it',
    );
  }
  const bytes = Buffer.byteLength(longestTopic(config));
  if (limits.topicBytes === 0 || bytes <= limits.topicBytes) return undefined;
  return fault(
    'topic',
    `a topic by uplink.topic may have ${bytes} bytes (a device has a name of up to ` +
      `${MAX_DEVICE_BYTES}), and ${title} takes ${limits.topicBytes} at most`,
    'shorten what stands around the names in braces, or gateway.id',
  );
};

const clientIdFits: PresetRule = (config, { title, limits }) => {
  const id = config.uplink.clientId || 'headgate-{gateway}';
  const bytes = Buffer.byteLength(id.replaceAll('{gateway}', longestGateway(config)));
  if (limits.clientIdBytes === 0 || bytes <= limits.clientIdBytes) return undefined;
  return fault(
    'clientId',
    `uplink.clientId has ${bytes} bytes, and ${title} takes ${limits.clientIdBytes} at most`,
    'choose a shorter one',
  );
};

const RULES: readonly PresetRule[] = [
  schemeTaken,
  versionTaken,
  shapeTaken,
  loginGiven,
  keepaliveTaken,
  windowTaken,
  bytesTaken,
  publishesTaken,
  bitsTaken,
  topicFits,
  clientIdFits,
];

export function presetFaults(config: Config): RuleFault[] {
  const preset = presetOf(config.uplink.preset);
  if (preset === undefined) return [];
  if (config.uplink.url === '') return [noUrl(config, preset)];
  return RULES.flatMap((rule) => rule(config, preset) ?? []);
}

/** What works, and perhaps otherwise than one might think. */
export function presetNotes({ uplink, mqtt }: Config): string[] {
  const preset = presetOf(uplink.preset);
  if (preset === undefined || uplink.url === '') return [];
  const notes = [...preset.notes];
  const { hostEnd, title } = preset;
  const host = new URL(uplink.url).hostname;
  // A name of the operator's own may stand for it.
  if (hostEnd !== undefined && !host.includes(hostEnd)) {
    notes.push(`hosts of ${title} end with ${hostEnd} unless they have a name of your own`);
  }
  const room = uplink.maxBytes - AROUND_BYTES;
  if (uplink.maxBytes > 0 && mqtt.maxPayloadBytes > room) {
    notes.push(
      `a reading of more than about ${room} bytes, or of less if it has quotes or is no text, ` +
        `fits in no publish and becomes a dead letter (mqtt.maxPayloadBytes is ` +
        `${mqtt.maxPayloadBytes})`,
    );
  }
  const rate = uplink.budget.publishesPerSecond;
  if (uplink.shape === 'raw' && preset.shapes.includes('batch') && rate > 0) {
    notes.push(`${rate} publishes a second are ${rate} records in shape raw, many more in batch`);
  }
  return notes;
}

/** What is set, works, and has no effect. */
function idleNotes({ uplink: { url, shape, identity } }: Config): string[] {
  if (url === '' || shape !== 'batch' || identity !== 'properties') return [];
  return [
    'uplink.identity: properties has no effect in shape batch, where the identity of each record ' +
      'is in the document',
  ];
}

/** The uplink as it will be, for `headgate check`. */
export function uplinkSummary(config: Config) {
  const { uplink } = config;
  const { preset, url, clientId, username, protocolVersion, alpn, maxBytes, window } = uplink;
  return {
    preset,
    url,
    clientId: clientId || 'headgate-{gateway}',
    username,
    alpn,
    protocolVersion,
    topic: topicOf(uplink),
    limits: {
      maxBytes,
      window,
      publishesPerSecond: uplink.budget.publishesPerSecond,
      kbitPerSecond: uplink.budget.kbitPerSecond,
    },
    notes: [...presetNotes(config), ...idleNotes(config)],
  };
}
