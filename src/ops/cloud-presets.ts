/**
 * What is known of the clouds that a preset names: one row each, with where it is written
 * (docs/presets.md says what of it was never tried). A preset fills in what was left empty, before
 * the settings are checked; what it rules out is in `preset-rules.ts`. Pure.
 */

export const PRESET_NAMES = [
  'none',
  'aws-iot',
  'azure-iot-hub',
  'azure-event-grid',
  'hivemq-cloud',
  'emqx-cloud',
  'thingsboard',
  'mosquitto',
] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

/** Each 0: none that is known, or the broker says it by itself. */
export interface CloudLimits {
  /** Of one publish. Where the cloud counts the payload alone, a little is given away. */
  readonly maxBytes: number;
  readonly publishesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly topicLevels: number;
  readonly topicBytes: number;
  readonly clientIdBytes: number;
  readonly keepaliveSeconds: number;
  /** Publishes that may be unacknowledged. */
  readonly window: number;
}

export interface CloudPreset {
  readonly title: string;
  /** The schemes that it takes, each with its port. `mqtts` is meant where there is none. */
  readonly ports: Readonly<Record<string, number>>;
  readonly websocketPath: string;
  /** What its hosts end with, where they are not the operator's own. */
  readonly hostEnd?: string;
  readonly versions: readonly number[];
  readonly shapes: readonly string[];
  /** Any of these proves who the gateway is. */
  readonly logins: ReadonlyArray<'certificate' | 'password' | 'user'>;
  /** Schemes with which a certificate does. */
  readonly certificateSchemes: readonly string[];
  /** Put where the setting is empty; {host} and {clientId} are those of the configuration. */
  readonly clientId?: string;
  readonly username?: string;
  readonly topic?: string;
  readonly protocolVersion?: number;
  /** What each topic has to look like, and in words. */
  readonly topicForm?: { readonly pattern: RegExp; readonly text: string };
  /** Levels that do not count, where a topic begins so. */
  readonly freeLevels?: { readonly prefix: string; readonly levels: number };
  /** ALPN on a port that is shared: with a certificate, and with a password. */
  readonly alpn?: { readonly port: string; readonly certificate: string; readonly other: string };
  readonly limits: CloudLimits;
  /** What works otherwise than one might think. */
  readonly notes: readonly string[];
}

const NO_LIMITS: CloudLimits = {
  maxBytes: 0,
  publishesPerSecond: 0,
  bytesPerSecond: 0,
  topicLevels: 0,
  topicBytes: 0,
  clientIdBytes: 0,
  keepaliveSeconds: 0,
  window: 0,
};

const TLS = ['mqtts', 'wss'];
const COMMON = {
  websocketPath: '/mqtt',
  versions: [4, 5],
  shapes: ['raw', 'batch'],
  certificateSchemes: TLS,
  limits: NO_LIMITS,
  notes: [],
} as const;

export const PRESETS: Readonly<Record<Exclude<PresetName, 'none'>, CloudPreset>> = {
  // docs.aws.amazon.com: iot/latest/developerguide/protocols.html, general/latest/gr/iot-core.html;
  // ClientExtendedValidationAndFlowControl of aws-iot-device-sdk-js-v2.
  'aws-iot': {
    ...COMMON,
    title: 'AWS IoT Core',
    ports: { mqtts: 8883, wss: 443 },
    hostEnd: '.amazonaws.com',
    logins: ['certificate', 'password'],
    // A websocket is let in by SigV4, which Headgate does not speak, or by a custom authorizer.
    certificateSchemes: ['mqtts'],
    protocolVersion: 5,
    freeLevels: { prefix: '$aws/rules/', levels: 3 },
    alpn: { port: '443', certificate: 'x-amzn-mqtt-ca', other: 'mqtt' },
    limits: {
      maxBytes: 131_072,
      publishesPerSecond: 100,
      bytesPerSecond: 524_288,
      topicLevels: 8,
      topicBytes: 256,
      clientIdBytes: 128,
      keepaliveSeconds: 1200,
      window: 100,
    },
  },
  // learn.microsoft.com: azure/iot/iot-mqtt-connect-to-iot-hub
  'azure-iot-hub': {
    ...COMMON,
    title: 'Azure IoT Hub',
    ports: { mqtts: 8883, wss: 443 },
    websocketPath: '/$iothub/websocket',
    hostEnd: '.azure-devices.net',
    versions: [4],
    logins: ['certificate', 'password'],
    clientId: '{gateway}',
    username: '{host}/{clientId}/?api-version=2021-04-12',
    topic: 'devices/{clientId}/messages/events/',
    topicForm: {
      pattern: /^devices\/[^/]+\/messages\/events\//,
      text: 'devices/DEVICE/messages/events/',
    },
    limits: { ...NO_LIMITS, maxBytes: 262_144, clientIdBytes: 128, keepaliveSeconds: 1177 },
    notes: [
      'all streams and devices share one topic: a record names its own in its envelope',
      'a token in uplink.passwordFile ends with its time: renew it before, and restart Headgate',
    ],
  },
  // learn.microsoft.com: azure/event-grid/mqtt-support, azure/event-grid/quotas-limits
  'azure-event-grid': {
    ...COMMON,
    title: 'Azure Event Grid',
    ports: { mqtts: 8883, wss: 443 },
    hostEnd: '.ts.eventgrid.azure.net',
    logins: ['certificate', 'password'],
    clientId: '{gateway}',
    username: '{gateway}',
    protocolVersion: 5,
    limits: {
      ...NO_LIMITS,
      maxBytes: 524_288,
      publishesPerSecond: 1000,
      bytesPerSecond: 1_000_000,
    },
    notes: [
      'a topic space has to hold the topics of the gateway, and a permission binding name it',
    ],
  },
  // community.hivemq.com: FAQ of HiveMQ Cloud
  'hivemq-cloud': {
    ...COMMON,
    title: 'HiveMQ Cloud',
    ports: { mqtts: 8883, wss: 8884 },
    hostEnd: '.hivemq.cloud',
    logins: ['password'],
    protocolVersion: 5,
  },
  // docs.emqx.com: cloud/latest/create/restriction.html, the column of Serverless
  'emqx-cloud': {
    ...COMMON,
    title: 'EMQX Cloud',
    ports: { mqtts: 8883, wss: 8084 },
    hostEnd: '.emqxsl.com',
    logins: ['password'],
    protocolVersion: 5,
    limits: {
      ...NO_LIMITS,
      maxBytes: 1_048_576,
      publishesPerSecond: 10,
      topicLevels: 10,
      clientIdBytes: 1024,
    },
  },
  // thingsboard.io: docs/reference/mqtt-api; NETTY_MAX_PAYLOAD_SIZE of its configuration
  thingsboard: {
    ...COMMON,
    title: 'ThingsBoard',
    ports: { mqtts: 8883, mqtt: 1883 },
    shapes: ['raw'],
    logins: ['user', 'certificate'],
    topic: 'v1/devices/me/telemetry',
    limits: { ...NO_LIMITS, maxBytes: 65_536 },
    notes: [
      'a record lands as telemetry of the one device that the token names, each field of its ' +
        'envelope a key: a rule chain has to take "payload" apart (docs/presets.md)',
    ],
  },
  // mosquitto.conf(5). Of its own limits it tells a client of MQTT 5.
  mosquitto: {
    ...COMMON,
    title: 'Mosquitto',
    ports: { mqtts: 8883, mqtt: 1883, wss: 443, ws: 80 },
    websocketPath: '/',
    logins: [],
    protocolVersion: 5,
  },
};

type Tree = Readonly<Record<string, unknown>>;

function isMap(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function presetOf(name: unknown): CloudPreset | undefined {
  return PRESET_NAMES.some((known) => known === name && known !== 'none')
    ? PRESETS[name as Exclude<PresetName, 'none'>]
    : undefined;
}

/** `host`, `host:port` or a URL, with what the preset knows of the scheme, port and path. */
function completeUrl(text: string, { ports, websocketPath }: CloudPreset): string {
  const match = /^(?:(\w+):\/\/)?([^/?#]+)(.*)$/.exec(text);
  if (match === null) return text;
  const [, scheme = 'mqtts', host = '', rest = ''] = match;
  const port = ports[scheme];
  const place = port === undefined || /:\d*$/.test(host) ? host : `${host}:${port}`;
  const isBare = scheme.startsWith('ws') && (rest === '' || rest === '/');
  return `${scheme}://${place}${isBare ? websocketPath : rest}`;
}

function alpnOf({ alpn }: CloudPreset, url: URL, hasCertificate: boolean): string | undefined {
  if (alpn === undefined || url.protocol !== 'mqtts:' || url.port !== alpn.port) return undefined;
  return hasCertificate ? alpn.certificate : alpn.other;
}

/** What the preset puts where the operator put nothing: no value, an empty text, or 0. */
function withPreset(uplink: Tree, preset: CloudPreset): Tree {
  const { limits } = preset;
  const given = uplink['url'];
  const isUrl = typeof given === 'string' && given !== '';
  const text = isUrl ? completeUrl(given, preset) : '';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const hasCertificate = Boolean(uplink['certFile']);
  const clientId = String(uplink['clientId'] || (preset.clientId ?? ''));
  const filled = (template: string | undefined) =>
    template?.replace('{host}', url?.hostname ?? '').replace('{clientId}', clientId);
  const defaults = {
    clientId: preset.clientId,
    username: filled(preset.username),
    topic: filled(preset.topic),
    protocolVersion: preset.protocolVersion,
    alpn: url === undefined ? undefined : alpnOf(preset, url, hasCertificate),
    maxBytes: limits.maxBytes || undefined,
  };
  const rates = {
    publishesPerSecond: limits.publishesPerSecond || undefined,
    kbitPerSecond: kbitPerSecond(limits) || undefined,
  };
  const budget = uplink['budget'] ?? {};
  return {
    ...uplink,
    ...missing(uplink, defaults),
    ...(isUrl ? { url: text } : {}),
    ...(isMap(budget) ? { budget: { ...budget, ...missing(budget, rates) } } : {}),
  };
}

function missing(given: Tree, defaults: Tree): Tree {
  return Object.fromEntries(
    Object.entries(defaults).filter(([name, value]) => value !== undefined && !given[name]),
  );
}

export function kbitPerSecond({ bytesPerSecond }: CloudLimits): number {
  return (bytesPerSecond * 8) / 1000;
}

/** The settings as they were given, completed by the preset that they name. */
export function presetApplied(tree: Tree): Tree {
  const uplink = tree['uplink'];
  if (!isMap(uplink)) return tree;
  const preset = presetOf(uplink['preset']);
  return preset === undefined ? tree : { ...tree, uplink: withPreset(uplink, preset) };
}
