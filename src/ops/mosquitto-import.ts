import { isLoopback } from './config-text.ts';
import { loadConfig } from './load-config.ts';
import { importBridge } from './mosquitto-bridge.ts';
import { type Directive, isOfBridge, type Section, sectionsOf } from './mosquitto-conf.ts';
import { ImportReport, type ImportRow, numberIn } from './mosquitto-report.ts';
import { noteOf } from './mosquitto-table.ts';

/** What a mosquitto.conf comes to as a configuration of Headgate. Pure. */

export interface Imported {
  /** Settings that differ from their defaults. It is sound but for files that may be missing. */
  readonly tree: Readonly<Record<string, unknown>>;
  readonly rows: readonly ImportRow[];
  /** What whoever changes over must know, beyond single lines. */
  readonly warnings: readonly string[];
}

export interface ImportInput {
  /** In the order in which mosquitto reads them. */
  readonly directives: readonly Directive[];
  readonly files: readonly string[];
  /** Where the password of the uplink shall stand. */
  readonly passwordFile: string;
}

const SEGMENT_QUARTER = 1_048_576;
const DEFAULT_PAYLOAD = 262_144;
const UNKNOWN = 'mosquitto 2.0 knows no such line';
const LOOPBACK_NOTE =
  'Headgate has no local users yet, so it stays on 127.0.0.1; a device elsewhere does not reach it';

interface Listener extends Section {
  readonly port: number | undefined;
  /** '' for all addresses. */
  readonly host: string;
  readonly isPlain: boolean;
}

function listenerOf(section: Section): Listener {
  const last = (name: string) => section.lines.findLast((line) => line.name === name)?.value;
  const [portText = '', ...more] = (section.begin?.value ?? '').split(/[ \t]+/);
  const port = numberIn(
    section.begin === undefined ? (last('port') ?? '1883') : portText,
    0,
    65_535,
  );
  const host = section.begin === undefined ? (last('bind_address') ?? '') : (more[0] ?? '');
  const isTls = section.lines.some(({ name }) => name === 'certfile' || name === 'psk_hint');
  const isPlain = !isTls && (last('protocol') ?? 'mqtt') === 'mqtt' && port?.value !== 0;
  return { ...section, port: port?.isAsIs === true ? port.value : undefined, host, isPlain };
}

/** Reached from elsewhere. The default one is on loopback only while nothing is said of it. */
function isOpen({ begin, lines, host }: Listener): boolean {
  if (isLoopback(host)) return false;
  return begin !== undefined || host !== '' || lines.some(({ name }) => name === 'port');
}

/** One of loopback first: devices that reach it now will reach it then. */
function chosen(listeners: readonly Listener[]): Listener | undefined {
  const plain = listeners.filter(({ isPlain, port }) => isPlain && port !== undefined);
  return plain.find(({ host }) => isLoopback(host)) ?? plain[0];
}

function importListeners(report: ImportReport, sections: readonly Section[]): string[] {
  const [first, ...others] = sections.map(listenerOf);
  const isDefaultUsed =
    others.length === 0 ||
    first?.lines.some(({ name }) => name === 'port' || name === 'bind_address') === true;
  const used = first !== undefined && isDefaultUsed ? [first, ...others] : others;
  const own = chosen(used);
  for (const listener of [...(first === undefined ? [] : [first]), ...others]) {
    const { begin, lines, port } = listener;
    const isOwn = listener === own;
    if (begin !== undefined) {
      const note = isOpen(listener) ? LOOPBACK_NOTE : '';
      if (isOwn) report.carried(begin, { 'mqtt.port': port }, note);
      else report.notCarried(begin, otherListener(listener));
    }
    for (const line of lines) importListenerLine(report, line, { isOwn, listener });
  }
  const told: string[] = [];
  if (own === undefined) {
    told.push('no listener is one that Headgate has: the result listens on 127.0.0.1:1883');
  }
  if (used.some(isOpen)) {
    told.push(
      'mosquitto listened beyond this machine. Headgate has no local users, rights or TLS there ' +
        'yet, so the result listens on 127.0.0.1 alone: devices elsewhere do not reach it',
    );
  }
  return told;
}

function otherListener({ isPlain, port }: Listener): string {
  if (port === 0) return 'there is no listener on a Unix socket';
  if (!isPlain) return 'the listener has neither TLS nor websockets yet';
  return 'there is one listener, and another line has it';
}

function importListenerLine(
  report: ImportReport,
  line: Directive,
  { isOwn, listener }: { isOwn: boolean; listener: Listener },
): void {
  const { name, value } = line;
  if (!isOwn) {
    const known = noteOf(name);
    if (known?.outcome === 'no-meaning') report.noMeaning(line, known.note);
    else report.notCarried(line, 'its listener is not carried over');
  } else if (name === 'port') {
    // Of an address the line of it tells.
    const note = listener.host === '' ? LOOPBACK_NOTE : '';
    report.carried(line, { 'mqtt.port': listener.port }, note);
  } else if (name === 'bind_address') {
    if (isLoopback(value)) report.carried(line, { 'mqtt.host': value });
    else report.notCarried(line, LOOPBACK_NOTE);
  } else if (name === 'protocol') report.noMeaning(line, 'MQTT is what it speaks');
  else if (name === 'max_connections') {
    const read = numberIn(value, 1, 100_000);
    if (read?.isAsIs === true) report.carried(line, { 'mqtt.maxConnections': read.value });
    else report.notCarried(line, 'mqtt.maxConnections stays at its default');
  } else other(report, line);
}

/** What the tables say of a line, or that nobody knows it. */
function other(report: ImportReport, line: Directive): void {
  const known = noteOf(line.name);
  if (known?.outcome === 'no-meaning') report.noMeaning(line, known.note);
  else if (known !== undefined) report.notCarried(line, known.note);
  else if (isOfBridge(line.name)) report.notCarried(line, 'no connection is above it');
  else report.notCarried(line, UNKNOWN);
}

interface Limit {
  readonly setting: string;
  readonly least: number;
  readonly most: number;
}

/** Sizes and counts; 0 is no limit there, and the default here. */
const LIMITS: Readonly<Record<string, Limit>> = {
  max_inflight_messages: { setting: 'uplink.window', least: 1, most: 60_000 },
  max_keepalive: { setting: 'mqtt.keepaliveLimitSeconds', least: 0, most: 65_535 },
  max_packet_size: { setting: 'mqtt.maxPacketBytes', least: 1024, most: 16_777_216 },
  message_size_limit: { setting: 'mqtt.maxPayloadBytes', least: 1, most: SEGMENT_QUARTER },
};

function importGeneral(report: ImportReport, line: Directive, hasBridge: boolean): void {
  const { name, value } = line;
  const limit = Object.hasOwn(LIMITS, name) ? LIMITS[name] : undefined;
  if (name === 'include_dir') report.carried(line, {}, 'its files are read');
  else if (name === 'allow_anonymous') {
    if (value === 'true') report.carried(line, {}, 'on loopback everyone is let in');
    else {
      const note = 'on this machine everyone is let in: there are no local users yet';
      report.notCarried(line, note);
    }
  } else if (name === 'max_inflight_messages' && !hasBridge) {
    report.noMeaning(line, 'it counts for the uplink, and there is none');
  } else if (limit === undefined) other(report, line);
  else if (value === '0') report.carried(line, {}, 'no limit there; here it is the default');
  else {
    const read = numberIn(value, limit.least, limit.most);
    if (read === undefined) report.notCarried(line, 'that is no number');
    else {
      const note = read.isAsIs ? '' : `${limit.least} to ${limit.most} are possible here`;
      report.carried(line, { [limit.setting]: read.value }, note);
    }
  }
}

const ACCESS_LINES = ['password_file', 'acl_file', 'plugin', 'auth_plugin', 'psk_file'];

export function importMosquitto(input: ImportInput): Imported {
  const report = new ImportReport();
  const { general, listeners, bridges } = sectionsOf(input.directives);
  const warnings = importListeners(report, listeners);
  for (const line of general) importGeneral(report, line, bridges.length > 0);
  const [bridge, ...others] = bridges;
  if (bridge !== undefined) importBridge(report, bridge, input.passwordFile);
  for (const { begin, lines } of others) {
    const note = 'there is one uplink, and the first connection has it';
    for (const line of [begin, ...lines]) if (line !== undefined) report.notCarried(line, note);
  }
  if (others.length > 0) {
    warnings.push(`${others.length} more bridges: nothing is sent there, and nothing comes in`);
  }
  const access = ACCESS_LINES.filter((name) => general.some((line) => line.name === name));
  if (access.length > 0) {
    warnings.push(
      `${access.join(', ')}: there are no local users and rights yet. On this machine everyone ` +
        'may publish and subscribe to everything; nobody else is let in',
    );
  }
  warnings.push(...settle(report));
  return { tree: report.tree, rows: report.sorted(input.files), warnings };
}

/** What does not fit together is left out, and said. */
function settle(report: ImportReport): string[] {
  const { tree } = report;
  const told: string[] = [];
  const mqtt = tree['mqtt'] as Record<string, unknown> | undefined;
  const packet = mqtt?.['maxPacketBytes'];
  const payload = mqtt?.['maxPayloadBytes'] ?? DEFAULT_PAYLOAD;
  if (mqtt !== undefined && typeof packet === 'number' && packet < Number(payload)) {
    mqtt['maxPayloadBytes'] = packet;
    told.push(`no payload can be larger than a packet: mqtt.maxPayloadBytes is ${packet}`);
  }
  for (let round = 0; round < 20; round++) {
    const loaded = loadConfig({ text: JSON.stringify(tree), env: {} });
    const [problem] = loaded.ok ? [] : loaded.problems;
    if (problem === undefined) break;
    const setting = remove(tree, problem.path.split(/[.[]/))?.join('.');
    if (setting === undefined) break;
    report.leftOut(setting);
    // The words of the fault may repeat the value.
    told.push(`left out: ${setting}, which can not be what it was there (docs/config.md)`);
  }
  return told;
}

/** What was removed; undefined: there is nothing there. */
function remove(
  tree: Record<string, unknown>,
  path: readonly string[],
): readonly string[] | undefined {
  const [first = '', ...rest] = path;
  const below = tree[first];
  if (below === undefined) return undefined;
  const isMap = typeof below === 'object' && below !== null && !Array.isArray(below);
  const within = rest.length > 0 && isMap && remove(below as Record<string, unknown>, rest);
  if (within) return [first, ...within];
  delete tree[first];
  return [first];
}
