/**
 * Directives of mosquitto.conf(5) that Headgate has no setting for, and why. Those that it has one
 * for are read in mosquitto-import.ts and mosquitto-bridge.ts.
 */

const SERVICE = 'the service does that';
const LOGGING = 'diagnostics go to standard output: logger.level and logger.format';
const ALWAYS = 'the log and the sessions are on flash at all times';
const LOCAL_LOGIN = 'the uplink is part of the gateway: it does not log in to the local broker';

/** Without them nothing is missing. */
export const NO_MEANING: Readonly<Record<string, string>> = {
  allow_duplicate_messages: 'a client gets a message once, as there',
  allow_zero_length_clientid: 'such clients are taken, with a session that ends with them',
  auto_id_prefix: 'names that are given to clients without one have no prefix',
  autosave_interval: ALWAYS,
  autosave_on_changes: ALWAYS,
  bridge_attempt_unsubscribe: 'the uplink subscribes to nothing that it publishes',
  bridge_outgoing_retain: 'records are not retained in the cloud',
  bridge_require_ocsp: 'there is no OCSP here; the certificate and its name are always checked',
  check_retain_source: 'there are no rights here that could be taken back',
  cleansession: 'what is not sent waits in the log, and the downlink keeps its session',
  connection_messages: LOGGING,
  http_dir: 'there is no web server',
  idle_timeout: 'the link is never idle',
  local_cleansession: LOCAL_LOGIN,
  local_clientid: LOCAL_LOGIN,
  local_password: LOCAL_LOGIN,
  local_username: LOCAL_LOGIN,
  log_dest: LOGGING,
  log_facility: LOGGING,
  log_timestamp: LOGGING,
  log_timestamp_format: LOGGING,
  log_type: LOGGING,
  max_topic_alias: 'it has no topic aliases to limit',
  notification_topic: '`headgate status` and /metrics tell of the link',
  notifications: '`headgate status` and /metrics tell of the link',
  notifications_local_only: '`headgate status` and /metrics tell of the link',
  per_listener_settings: 'there is one listener',
  persistence: ALWAYS,
  persistence_file: ALWAYS,
  persistence_location: 'the data folder is data.dir; what mosquitto has stored is not taken over',
  pid_file: SERVICE,
  psk_hint: 'there is no listener with a pre-shared key',
  queue_qos0_messages: 'QoS 0 is not kept for clients that are away',
  retain_available: 'retained messages are always there, up to mqtt.maxRetainedBytes',
  set_tcp_nodelay: 'acknowledgements are never held back',
  start_type: 'the link is always up, as automatic is',
  sys_interval: '`headgate status` and /metrics have the figures; there is no $SYS',
  threshold: 'the link is always up',
  try_private: 'the uplink is a client like any other',
  upgrade_outgoing_qos: 'a message goes out with the QoS that it came with, or less',
  user: SERVICE,
  websockets_headers_size: 'there is no listener for websockets',
  websockets_log_level: LOGGING,
};

const ACCESS =
  'Headgate has no local users and no rights yet: whoever reaches the listener may publish and ' +
  'subscribe to everything, so it stays on loopback';
const LISTENER_TLS = 'the listener has no TLS yet, so it stays on loopback';
const PSK = 'there are no pre-shared keys: use certificates';

/** These did something that is not done now. */
export const CANNOT: Readonly<Record<string, string>> = {
  acl_file: ACCESS,
  auth_opt: ACCESS,
  auth_plugin: ACCESS,
  auth_plugin_deny_special_chars: ACCESS,
  bind_interface: 'the listener stays on loopback',
  bridge_bind_address: 'the system chooses the address that the uplink goes out from',
  bridge_capath: 'a folder of certificates cannot be named: put them into one file for caFile',
  bridge_identity: PSK,
  bridge_psk: PSK,
  cafile: LISTENER_TLS,
  capath: LISTENER_TLS,
  certfile: LISTENER_TLS,
  ciphers: LISTENER_TLS,
  'ciphers_tls1.3': LISTENER_TLS,
  clientid_prefixes: ACCESS,
  crlfile: LISTENER_TLS,
  dhparamfile: LISTENER_TLS,
  keyfile: LISTENER_TLS,
  max_inflight_bytes: 'there is no such limit for subscribers',
  max_qos: 'QoS 0, 1 and 2 are taken',
  max_queued_bytes: 'what waits for a session has one limit for all that the broker sets',
  max_queued_messages: 'what waits for a session has one limit for all that the broker sets',
  memory_limit: 'the service limits memory (MemoryMax=)',
  mount_point: 'topics are as clients name them',
  password_file: ACCESS,
  persistent_client_expiration: 'a session stays until mqtt.maxSessions are there',
  plugin: ACCESS,
  plugin_opt: ACCESS,
  psk_file: PSK,
  require_certificate: LISTENER_TLS,
  round_robin: 'the uplink goes to one address',
  socket_domain: 'the listener stays on loopback',
  tls_engine: LISTENER_TLS,
  tls_engine_kpass_sha1: LISTENER_TLS,
  tls_keyform: LISTENER_TLS,
  tls_version: LISTENER_TLS,
  use_identity_as_username: ACCESS,
  use_subject_as_username: ACCESS,
  use_username_as_clientid: ACCESS,
};

/** What is in the table for a directive; plugins bring names of their own. */
export function noteOf(
  name: string,
): { readonly outcome: 'no-meaning' | 'not-carried'; readonly note: string } | undefined {
  const key = /^(auth|plugin)_opt_/.test(name) ? 'plugin_opt' : name;
  const of = (table: Readonly<Record<string, string>>) =>
    Object.hasOwn(table, key) ? table[key] : undefined;
  const plain = of(NO_MEANING);
  if (plain !== undefined) return { outcome: 'no-meaning', note: plain };
  const lost = of(CANNOT);
  return lost === undefined ? undefined : { outcome: 'not-carried', note: lost };
}
