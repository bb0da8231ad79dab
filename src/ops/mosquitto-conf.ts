/**
 * mosquitto.conf as text, by mosquitto.conf(5) of 2.0: a directive a line, sections begun by
 * `listener` and `connection`. What it means for Headgate is said elsewhere. Pure.
 */

export interface Directive {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly name: string;
  /** Without blanks around it; '' for none. May be a password. */
  readonly value: string;
}

/** A listener, or a bridge: what began it, and what was said of it. */
export interface Section {
  /** undefined: the default listener, which no line begins. */
  readonly begin: Directive | undefined;
  readonly lines: readonly Directive[];
}

export interface MosquittoConf {
  /** Of the broker as a whole. */
  readonly general: readonly Directive[];
  /** The default one first, whether it is used or not. */
  readonly listeners: readonly Section[];
  readonly bridges: readonly Section[];
}

/** Lines as they stand: with LF or CRLF, blanks or tabs. Comments and empty lines are nothing. */
export function directivesOf(text: string, file: string): Directive[] {
  const found: Directive[] = [];
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const whole = raw.trim();
    if (whole === '' || whole.startsWith('#')) continue;
    const [name = ''] = whole.split(/[ \t]/, 1);
    found.push({ file, line: index + 1, name, value: whole.slice(name.length).trim() });
  }
  return found;
}

/** What belongs to the listener above it. */
const LISTENER = new Set(
  (
    'bind_address bind_interface cafile capath certfile ciphers ciphers_tls1.3 crlfile ' +
    'dhparamfile http_dir keyfile max_connections max_qos max_topic_alias mount_point port ' +
    'protocol psk_hint require_certificate socket_domain tls_engine tls_engine_kpass_sha1 ' +
    'tls_keyform tls_version use_identity_as_username use_subject_as_username ' +
    'use_username_as_clientid websockets_headers_size'
  ).split(' '),
);

/** What belongs to the bridge above it. */
const BRIDGE = new Set(
  (
    'address addresses clientid cleansession idle_timeout keepalive_interval local_cleansession ' +
    'local_clientid local_password local_username notification_topic notifications ' +
    'notifications_local_only password remote_clientid remote_password remote_username ' +
    'restart_timeout round_robin start_type threshold topic try_private username'
  ).split(' '),
);

export function isOfBridge(name: string): boolean {
  return BRIDGE.has(name) || name.startsWith('bridge_');
}

/** Sorts directives into the sections that they belong to. */
export function sectionsOf(directives: readonly Directive[]): MosquittoConf {
  const general: Directive[] = [];
  const first: { begin: Directive | undefined; lines: Directive[] } = {
    begin: undefined,
    lines: [],
  };
  const listeners = [first];
  const bridges: Array<{ begin: Directive; lines: Directive[] }> = [];
  for (const directive of directives) {
    const { name } = directive;
    if (name === 'listener') listeners.push({ begin: directive, lines: [] });
    else if (name === 'connection') bridges.push({ begin: directive, lines: [] });
    else if (LISTENER.has(name)) {
      // These two are the default listener's wherever they stand.
      const isOld = name === 'port' || name === 'bind_address';
      (isOld ? first : (listeners.at(-1) ?? first)).lines.push(directive);
    } else if (isOfBridge(name) && bridges.length > 0) bridges.at(-1)?.lines.push(directive);
    else general.push(directive);
  }
  return { general, listeners, bridges };
}

export type Direction = 'out' | 'in' | 'both';

export interface BridgeTopic {
  readonly direction: Direction;
  /** Filter here and filter there, prefixes and all. */
  readonly local: string;
  readonly remote: string;
}

/**
 * `topic pattern [[[out|in|both] qos] local-prefix remote-prefix]`; a pattern or prefix `""` is
 * empty. undefined: it is none.
 */
export function bridgeTopic(value: string): BridgeTopic | undefined {
  const [first = '', direction = 'out', qos = '0', ...prefixes] = value.split(/[ \t]+/);
  if (!['out', 'in', 'both'].includes(direction) || !['0', '1', '2'].includes(qos)) {
    return undefined;
  }
  if (prefixes.length > 2) return undefined;
  const [pattern = '', local = '', remote = ''] = [first, ...prefixes].map((part) =>
    part === '""' ? '' : part,
  );
  const both = { local: local + pattern, remote: remote + pattern };
  if (both.local === '' || both.remote === '') return undefined;
  return { direction: direction as Direction, ...both };
}
