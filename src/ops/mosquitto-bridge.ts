import { isIPv6 } from 'node:net';
import { loadConfig } from './load-config.ts';
import { type BridgeTopic, bridgeTopic, type Directive, type Section } from './mosquitto-conf.ts';
import { type ImportReport, numberIn } from './mosquitto-report.ts';
import { noteOf } from './mosquitto-table.ts';

/** A bridge as an uplink, with routes of the downlink for what it brings in. */

type Carry = (directive: Directive, bridge: Bridge) => void;

interface Bridge {
  readonly report: ImportReport;
  readonly lines: readonly Directive[];
  readonly isTls: boolean;
  readonly passwordFile: string;
}

const NOT_A_NUMBER = 'that is no number';
const TLS_LINES = ['bridge_cafile', 'bridge_capath', 'bridge_certfile', 'bridge_alpn'];

function number(setting: string, least: number, most: number): Carry {
  return (directive, { report }) => {
    const read = numberIn(directive.value, least, most);
    if (read === undefined) report.notCarried(directive, NOT_A_NUMBER);
    else {
      const note = read.isAsIs ? '' : `${least} to ${most} are possible here`;
      report.carried(directive, { [setting]: read.value }, note);
    }
  };
}

function text(setting: string, note = ''): Carry {
  return (directive, { report }) => report.carried(directive, { [setting]: directive.value }, note);
}

const address: Carry = (directive, { report, isTls }) => {
  const [first = '', ...others] = directive.value.split(/[ \t]+/);
  const [, host = '', port = '1883'] = /^(.*?)(?::(\d{1,5}))?$/.exec(first) ?? [];
  const name = isIPv6(host) ? `[${host}]` : host;
  const url = `${isTls ? 'mqtts' : 'mqtt'}://${name}:${port}`;
  const isSound = loadConfig({ text: JSON.stringify({ uplink: { url } }), env: {} }).ok;
  if (!isSound) report.notCarried(directive, 'that is no address that the uplink can take');
  else {
    const more = others.length === 0 ? '' : `the first of ${others.length + 1}: there is one`;
    report.carried(directive, { 'uplink.url': url }, more);
  }
};

const password: Carry = (directive, { report, passwordFile }) => {
  const note = 'the password itself stands nowhere in the new file: put it into that one';
  report.carried(directive, { 'uplink.passwordFile': passwordFile }, note);
};

const restart: Carry = (directive, { report }) => {
  const [base = '', cap = base] = directive.value.split(/[ \t]+/);
  const [least, most] = [numberIn(base, 1, 3600), numberIn(cap, 1, 3600)];
  if (least === undefined || most === undefined) report.notCarried(directive, NOT_A_NUMBER);
  else {
    report.carried(directive, {
      'uplink.reconnectMinMs': Math.min(least.value, most.value) * 1000,
      'uplink.reconnectMaxMs': most.value * 1000,
    });
  }
};

const version: Carry = (directive, { report }) => {
  if (directive.value === 'mqttv50') {
    const settings = { 'uplink.protocolVersion': 5, 'uplink.identity': 'properties' };
    report.carried(directive, settings, 'payloads go as they came, with the identity beside them');
  } else if (directive.value === 'mqttv311' || directive.value === 'mqttv31') {
    report.carried(directive, { 'uplink.protocolVersion': 4 }, WRAPPED);
  } else report.notCarried(directive, 'that is no version of MQTT');
};

const WRAPPED =
  'each payload goes in a JSON object with its identity, in the field payload ' +
  '(docs/uplink.md); with MQTT 5 and uplink.identity: properties it would go as it came';

const insecure: Carry = (directive, { report }) => {
  if (directive.value !== 'true') report.noMeaning(directive, 'certificates are always checked');
  else {
    const note = 'the name in the certificate is always checked: set uplink.serverName to it';
    report.notCarried(directive, note);
  }
};

const CARRIES: Readonly<Record<string, Carry>> = {
  address,
  addresses: address,
  bridge_alpn: text('uplink.alpn'),
  bridge_cafile: text('uplink.caFile'),
  bridge_certfile: text('uplink.certFile'),
  bridge_insecure: insecure,
  bridge_keyfile: text('uplink.keyFile'),
  bridge_max_packet_size: number('uplink.maxBytes', 0, 16_777_216),
  bridge_protocol_version: version,
  bridge_tls_version: (directive, { report }) =>
    report.noMeaning(directive, 'TLS 1.2 or newer, whatever both sides have'),
  clientid: text('uplink.clientId'),
  keepalive_interval: number('uplink.keepaliveSeconds', 5, 65_535),
  password,
  remote_clientid: text('uplink.clientId'),
  remote_password: password,
  remote_username: text('uplink.username'),
  restart_timeout: restart,
  username: text('uplink.username'),
};

/** The first bridge; there is one uplink. */
export function importBridge(
  report: ImportReport,
  { begin, lines }: Section,
  passwordFile: string,
): void {
  const isTls = lines.some(({ name }) => TLS_LINES.includes(name));
  const bridge: Bridge = { report, lines, isTls, passwordFile };
  if (begin !== undefined) {
    report.carried(begin, { 'uplink.order': 'fresh' }, 'the uplink; it has no name of its own');
  }
  const topics: Array<{ directive: Directive; topic: BridgeTopic }> = [];
  for (const directive of lines) {
    const { name, value } = directive;
    const known = noteOf(name);
    if (name === 'topic') {
      const topic = bridgeTopic(value);
      if (topic === undefined) report.notCarried(directive, 'that is no topic of a bridge');
      else topics.push({ directive, topic });
    } else if (Object.hasOwn(CARRIES, name)) CARRIES[name]?.(directive, bridge);
    else if (known?.outcome === 'no-meaning') report.noMeaning(directive, known.note);
    else report.notCarried(directive, known?.note ?? 'mosquitto 2.0 knows no such line');
  }
  if (report.tree['uplink'] === undefined || !hasUrl(report)) {
    for (const { directive } of topics) {
      report.notCarried(directive, 'the bridge has no address: there is no uplink');
    }
    delete report.tree['uplink'];
    return;
  }
  importOut(
    report,
    topics.filter(({ topic }) => topic.direction !== 'in'),
  );
  importIn(
    report,
    topics.filter(({ topic }) => topic.direction !== 'out'),
  );
}

function hasUrl({ tree }: ImportReport): boolean {
  return (tree['uplink'] as { url?: string }).url !== undefined;
}

type Topics = ReadonlyArray<{ readonly directive: Directive; readonly topic: BridgeTopic }>;

/** A stream's pattern and the topic in the cloud, with the device where the first wildcard is. */
interface Mapping {
  readonly pattern: string;
  readonly cloud: string;
  /** Levels that the cloud's topic had and has no more. */
  readonly isShortened: boolean;
}

/** undefined: no level could be the device, or the cloud's topic has it not. */
function mappingOf({ local, remote }: BridgeTopic): Mapping | undefined {
  const levels = local.split('/');
  const there = remote.split('/');
  const at = levels.findIndex((level) => level === '+' || level === '#');
  const far = there.findIndex((level) => level === '+' || level === '#');
  if (at < 0 || far < 0) return undefined;
  const pattern =
    levels[at] === '#'
      ? [...levels.slice(0, at), '<device>', '#']
      : levels.map((level, i) => (i === at ? '<device>' : level));
  const wild = there.findIndex((level, i) => i > far && (level === '+' || level === '#'));
  const kept = wild < 0 ? there : there.slice(0, wild);
  const cloud = kept.map((level, i) => (i === far ? '{device}' : level)).join('/');
  return { pattern: pattern.join('/'), cloud, isShortened: there[far] === '#' || wild >= 0 };
}

/** Those that differ in one level, which can be the name of a stream each; else undefined. */
function namedByLevel(clouds: readonly string[]): { topic: string; at: number } | undefined {
  const rows = clouds.map((cloud) => cloud.split('/'));
  const [first = []] = rows;
  if (rows.some((row) => row.length !== first.length)) return undefined;
  const differ = first.flatMap((level, i) => (rows.every((row) => row[i] === level) ? [] : [i]));
  const [at] = differ;
  if (at === undefined || differ.length > 1) return undefined;
  const names = rows.map((row) => row[at] ?? '');
  const areNames = names.every((name) => /^[a-z0-9-]{1,32}$/.test(name));
  const isReserved = names.some((name) => ['alerts', 'audit', 'dead-letter'].includes(name));
  if (!areNames || isReserved) return undefined;
  return { topic: first.map((level, i) => (i === at ? '{stream}' : level)).join('/'), at };
}

/** As streams they come in another order, in which one could take what is another's. */
function namedStreams(mappings: readonly Mapping[]): ReturnType<typeof namedByLevel> {
  if (mappings.length < 2) return undefined;
  const named = namedByLevel(mappings.map(({ cloud }) => cloud));
  if (named === undefined) return undefined;
  const streams = new Map<string, string[]>();
  for (const { cloud, pattern } of mappings) {
    const name = cloud.split('/')[named.at] ?? '';
    streams.set(name, [...(streams.get(name) ?? []), pattern]);
  }
  return areSound([...streams], named.topic) ? named : undefined;
}

/** Streams with these patterns, and this topic in the cloud, are a configuration. */
function areSound(
  patterns: ReadonlyArray<readonly [stream: string, topics: readonly string[]]>,
  topic: string,
): boolean {
  const streams = Object.fromEntries(patterns.map(([name, topics]) => [name, { topics }]));
  const uplink = { url: 'mqtt://a', topic };
  return loadConfig({ text: JSON.stringify({ streams, uplink }), env: {} }).ok;
}

const MAX_TOPICS = 32;
const MAX_ROUTES = 32;
/** Each is held against all rules; nobody writes so many by hand. */
const MAX_LOOKED_AT = 256;

function importOut(report: ImportReport, topics: Topics): void {
  const sound: Array<{ directive: Directive; mapping: Mapping }> = [];
  for (const [i, { directive, topic }] of topics.entries()) {
    if (sound.length === MAX_TOPICS || i >= MAX_LOOKED_AT) {
      report.notCarried(directive, `more than ${MAX_TOPICS} topics`);
      continue;
    }
    const mapping = mappingOf(topic);
    const patterns = sound.map((other) => other.mapping.pattern);
    if (mapping === undefined || !areSound([['readings', [mapping.pattern]]], mapping.cloud)) {
      report.notCarried(directive, 'no level of it can be the device: it is in no stream');
    } else if (
      patterns.includes(mapping.pattern) ||
      !areSound([['readings', [...patterns, mapping.pattern]]], mapping.cloud)
    ) {
      report.notCarried(directive, 'another line has these topics already');
    } else sound.push({ directive, mapping });
  }
  const [first] = sound;
  if (first === undefined) return;
  const named = namedStreams(sound.map(({ mapping }) => mapping));
  const streams = new Map<string, string[]>();
  for (const { directive, mapping } of sound) {
    const name = named === undefined ? 'readings' : (mapping.cloud.split('/')[named.at] ?? '');
    const path = `streams.${name}.topics`;
    streams.set(name, [...(streams.get(name) ?? []), mapping.pattern]);
    const topic = named?.topic ?? first.mapping.cloud;
    const isElsewhere = named === undefined && mapping.cloud !== first.mapping.cloud;
    const notes = [
      isElsewhere ? `there is one topic for the cloud: these go to ${topic} as well` : '',
      mapping.isShortened
        ? 'levels behind the device are in the field topic, not in the topic'
        : '',
    ];
    const settings = { [path]: streams.get(name), 'uplink.topic': topic };
    report.carried(directive, settings, notes.filter((note) => note !== '').join('; '));
  }
  // Alerts and dead letters would come on the topics of readings.
  if (named === undefined) report.set(['uplink', 'streams'], ['readings']);
}

function importIn(report: ImportReport, topics: Topics): void {
  let count = 0;
  for (const [i, { directive, topic }] of topics.entries()) {
    if (count === MAX_ROUTES || i >= MAX_LOOKED_AT) {
      if (topic.direction === 'in') report.notCarried(directive, `more than ${MAX_ROUTES} routes`);
      continue;
    }
    const route = { from: topic.remote, to: topic.local };
    const name = `bridge-${count + 1}`;
    const fault = routeFault(report.tree, name, route);
    if (fault !== undefined) {
      report.notCarried(directive, `nothing comes in from the cloud: ${fault}`);
      continue;
    }
    count += 1;
    const downlink = report.tree['downlink'] as { allow?: string[] } | undefined;
    const allow = [...new Set([...(downlink?.allow ?? []), route.to])];
    const settings = { [`downlink.routes.${name}`]: route, 'downlink.allow': allow };
    report.carried(directive, settings, 'QoS 1, in order');
  }
}

/** Why the configuration would not be sound with this route, in words. */
function routeFault(
  tree: ImportReport['tree'],
  name: string,
  route: { readonly from: string; readonly to: string },
): string | undefined {
  const now = (tree['downlink'] ?? {}) as { routes?: object; allow?: string[] };
  const downlink = {
    allow: [...new Set([...(now.allow ?? []), route.to])],
    routes: { ...now.routes, [name]: route },
  };
  const loaded = loadConfig({ text: JSON.stringify({ ...tree, downlink }), env: {} });
  if (loaded.ok) return undefined;
  return loaded.problems.find(({ path }) => path.startsWith('downlink'))?.message;
}
