import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { directivesOf } from '../../../src/ops/mosquitto-conf.ts';
import { importMosquitto } from '../../../src/ops/mosquitto-import.ts';
import { configOf } from '../../support/config-loading.ts';

const FILE = 'mosquitto.conf';

/** Imports, and reads the result as the daemon would: it must be sound, whatever came in. */
function imported(text: string) {
  const directives = directivesOf(text, FILE);
  const passwordFile = '/run/credentials/headgate.service/keys_uplink.password';
  const found = importMosquitto({ directives, files: [FILE], passwordFile });
  const config = configOf(stringify({ version: 1, ...found.tree }));
  // Each line has its row, and none has two.
  expect(found.rows.map(({ line }) => line)).toEqual(directives.map(({ line }) => line));
  const row = (directive: string) => found.rows.find((one) => one.directive === directive);
  const outcomes = Object.fromEntries(found.rows.map((one) => [one.directive, one.outcome]));
  return { ...found, config, row, outcomes };
}

const SITE = `
# Place your local configuration in /etc/mosquitto/conf.d/
pid_file /run/mosquitto/mosquitto.pid
persistence true
persistence_location /var/lib/mosquitto/
log_dest file /var/log/mosquitto/mosquitto.log
per_listener_settings false
listener 1883 0.0.0.0
max_connections 200
listener 9001
protocol websockets
listener 8883
cafile /etc/mosquitto/ca.pem
certfile /etc/mosquitto/server.pem
keyfile /etc/mosquitto/server.key
require_certificate true
allow_anonymous false
password_file /etc/mosquitto/passwd
acl_file /etc/mosquitto/acl
max_packet_size 100000
message_size_limit 50000
max_keepalive 600
max_inflight_messages 50
connection cloud
address broker.example.com:8883 spare.example.com
bridge_cafile /etc/ssl/certs/ca-certificates.crt
bridge_certfile /etc/mosquitto/site.pem
bridge_keyfile /etc/mosquitto/site.key
bridge_alpn mqtt
bridge_protocol_version mqttv50
bridge_insecure false
remote_clientid site-7
remote_username site7
remote_password s3cr3t-of-site
cleansession false
keepalive_interval 45
restart_timeout 5 30
notifications false
topic + out 1 sensors/ plant/7/sensors/
topic # in 1 commands/ plant/7/commands/
`;

describe('a whole site', () => {
  const site = imported(SITE);

  test('becomes a configuration with the same uplink', () => {
    expect(site.config.uplink).toMatchObject({
      url: 'mqtts://broker.example.com:8883',
      topic: 'plant/7/sensors/{device}',
      streams: ['readings'],
      clientId: 'site-7',
      username: 'site7',
      passwordFile: '/run/credentials/headgate.service/keys_uplink.password',
      caFile: '/etc/ssl/certs/ca-certificates.crt',
      certFile: '/etc/mosquitto/site.pem',
      keyFile: '/etc/mosquitto/site.key',
      alpn: 'mqtt',
      protocolVersion: 5,
      identity: 'properties',
      keepaliveSeconds: 45,
      reconnectMinMs: 5000,
      reconnectMaxMs: 30_000,
      window: 50,
    });
    expect(site.config.streams['readings']?.topics).toEqual(['sensors/<device>']);
    expect(site.config.downlink).toMatchObject({
      allow: ['commands/#'],
      routes: { 'bridge-1': { from: 'plant/7/commands/#', to: 'commands/#' } },
    });
  });

  test('stays on loopback and says so, with what was there for access', () => {
    expect(site.config.mqtt).toMatchObject({
      host: '127.0.0.1',
      port: 1883,
      allowAnonymous: false,
      maxConnections: 200,
      maxPacketBytes: 100_000,
      maxPayloadBytes: 50_000,
      keepaliveLimitSeconds: 600,
    });
    expect(site.warnings.join('\n')).toMatch(/listens on 127\.0\.0\.1 alone/);
    expect(site.warnings.join('\n')).toMatch(/password_file, acl_file: there are no local users/);
    expect(site.row('password_file')).toMatchObject({ outcome: 'not-carried' });
    expect(site.row('require_certificate')).toMatchObject({ outcome: 'not-carried' });
    expect(site.row('listener')?.note).toContain('stays on 127.0.0.1');
  });

  test('never repeats a value of a line: not the password, nor what may be one', () => {
    expect(JSON.stringify(site)).not.toContain('s3cr3t');
    const odd = imported(
      'remote_pasword hunter2\nconnection a\nbridge_psk hunter2\npassword hunter2',
    );
    expect(JSON.stringify(odd)).not.toContain('hunter2');
    expect(odd.row('remote_pasword')).toMatchObject({ line: 1, outcome: 'not-carried' });
  });
});

describe('listeners', () => {
  const hostAndPort = (text: string) => {
    const { host, port } = imported(text).config.mqtt;
    return `${host}:${port}`;
  };

  test.each([
    ['', '127.0.0.1:1883'],
    ['port 1900', '127.0.0.1:1900'],
    ['port 1900\nbind_address 192.168.1.4', '127.0.0.1:1900'],
    ['bind_address ::1', '::1:1883'],
    ['listener 1884 127.0.0.1', '127.0.0.1:1884'],
    ['listener 1884\nlistener 1885 localhost', '127.0.0.1:1885'],
    ['listener 0 /run/mosquitto.sock\nlistener 1886', '127.0.0.1:1886'],
    ['listener 9001\nprotocol websockets', '127.0.0.1:1883'],
    ['listener 8883\ncertfile /x', '127.0.0.1:1883'],
    ['listener 99999', '127.0.0.1:1883'],
    ['listener 1884\nport 1885', '127.0.0.1:1885'],
    ['listener 1884 0.0.0.0\nallow_anonymous true', '127.0.0.1:1884'],
  ])('%j listens on %s', (text, wanted) => {
    expect(hostAndPort(text)).toBe(wanted);
  });
});

describe('a listener beyond this machine', () => {
  test.each([
    ['port 1900', 'port'],
    ['port 1900\nallow_anonymous true', 'port'],
    ['bind_address 0.0.0.0', 'bind_address'],
    ['port 1900\nbind_address 192.168.1.4', 'bind_address'],
    ['port 1900\nlistener 1901 127.0.0.1', undefined],
    ['listener 1884', 'listener'],
  ])('%j: devices elsewhere are told of', (text, noted) => {
    const { warnings, row } = imported(text);
    expect(warnings.join()).toContain('listens on 127.0.0.1 alone');
    if (noted !== undefined) expect(row(noted)?.note).toContain('stays on 127.0.0.1');
  });

  test.each(['', 'port 1900\nbind_address 127.0.0.1', 'listener 1884 ::1', 'max_connections 5'])(
    '%j: there is none',
    (text) => expect(imported(text).warnings).toEqual([]),
  );
});

describe('what the configuration does not take', () => {
  test.each([
    ['remote_clientid', 'uplink.clientId', 'hunter2'.repeat(99)],
    ['bridge_alpn', 'uplink.alpn', 'hunter2'.repeat(60)],
    ['bridge_keyfile', 'uplink.keyFile', 'hunter2'],
  ])('%s is left out by name, and its line is not carried', (name, setting, value) => {
    const found = imported(`connection a\naddress far\n${name} ${value}`);
    expect(JSON.stringify(found.warnings)).not.toContain('hunter2');
    expect(found.warnings.join()).toContain(`left out: ${setting}`);
    expect(found.row(name)).toMatchObject({ outcome: 'not-carried' });
    expect(found.row(name)?.to ?? []).toEqual([]);
    expect(found.row('address')).toMatchObject({ outcome: 'carried', to: ['uplink.url'] });
  });
});

describe('topics of a bridge', () => {
  const bridge = (...topics: string[]) =>
    imported(['connection a', 'address far', ...topics.map((one) => `topic ${one}`)].join('\n'));

  test.each([
    ['sensors/#', ['sensors/<device>/#'], 'sensors/{device}'],
    ['sensors/+/temperature out', ['sensors/<device>/temperature'], 'sensors/{device}/temperature'],
    ['# out 1 a/ b/c/', ['a/<device>/#'], 'b/c/{device}'],
    ['+/state both 0 x/ y/', ['x/<device>/state'], 'y/{device}/state'],
    ['+ out 2 "" far/', ['<device>'], 'far/{device}'],
  ])('%j', (topic, topics, cloud) => {
    const { config } = bridge(topic);
    expect(config.streams['readings']?.topics).toEqual(topics);
    expect(config.uplink.topic).toBe(cloud);
  });

  test('several that differ in one level have streams of that name', () => {
    const { config } = bridge('+ out 1 heat/ far/heat/', '+ out 1 power/ far/power/');
    expect(config.uplink.topic).toBe('far/{stream}/{device}');
    expect(Object.keys(config.streams)).toEqual(['heat', 'power']);
    expect(config.uplink.streams).toEqual([]);
  });

  test.each([
    [['# out 1 s/ a/', '+/t out 1 s/ a/'], { readings: ['s/<device>/#'] }],
    [['# out 1 s/ heat/', '+/t out 1 s/ power/'], { readings: ['s/<device>/#'] }],
    [['s/+/+ out', 's/a/+ out', 's/# out'], { readings: ['s/<device>/+', 's/<device>/#'] }],
  ])('%j: what an earlier line takes is not carried, and the others are', (lines, wanted) => {
    const { config, rows, warnings } = bridge(...lines);
    const topicsOf = Object.entries(config.streams).map(([name, { topics }]) => [name, topics]);
    expect(Object.fromEntries(topicsOf)).toEqual(wanted);
    expect(warnings).toEqual([]);
    const lost = rows.filter(({ outcome }) => outcome === 'not-carried');
    expect(lost).toMatchObject([{ line: 4, note: 'another line has these topics already' }]);
  });

  test('a narrower one first is carried, also where streams would come in another order', () => {
    const first = bridge('+/t out 1 s/ a/', '# out 1 s/ a/');
    expect(first.config.streams['readings']?.topics).toEqual(['s/<device>/t', 's/<device>/#']);
    // As streams, 1 would come before 2 and take all.
    const { config, warnings } = bridge('+ out 1 s/a/ far/2/', '# out 1 s/ far/1/');
    expect(config.streams['readings']?.topics).toEqual(['s/a/<device>', 's/<device>/#']);
    expect([...first.warnings, ...warnings]).toEqual([]);
  });

  test('several that differ otherwise share the first one, and the report says so', () => {
    const { config, rows } = bridge('+ out 1 heat/ a/heat/', '+ out 1 power/ b/c/');
    expect(config.uplink.topic).toBe('a/heat/{device}');
    expect(config.streams['readings']?.topics).toEqual(['heat/<device>', 'power/<device>']);
    expect(rows.at(-1)?.note).toContain('go to a/heat/{device} as well');
  });

  test.each([
    ['plain/topic out', 'no level of it can be the device'],
    ['headgate/# out', 'no level of it can be the device'],
    ['$SYS/# out', 'no level of it can be the device'],
    ['x sideways', 'no topic of a bridge'],
    ['x out 7', 'no topic of a bridge'],
    ['"" out', 'no topic of a bridge'],
    ['# in', 'the first level must be a name'],
    ['sensors/# in', 'would pass for a reading'],
    ['# in 1 headgate/ far/', "the broker's own"],
  ])('%j is not carried: %s', (topic, why) => {
    const { rows } = bridge(topic);
    expect(rows.at(-1)).toMatchObject({ directive: 'topic', outcome: 'not-carried' });
    expect(rows.at(-1)?.note).toContain(why);
  });

  test('without an address there is no uplink; a second bridge is left out, and said', () => {
    const none = imported('connection a\ntopic # out 1 a/ b/\nremote_username me');
    expect(none.config.uplink.url).toBe('');
    const two = imported(
      'connection a\naddress one\nconnection b\naddress two\nremote_password hidden',
    );
    expect(two.config.uplink.url).toBe('mqtt://one:1883');
    expect(two.warnings.join()).toContain('1 more bridges');
  });

  test('a port alone is one on all addresses, and said to be', () => {
    const said = (text: string) => imported(text).warnings.join();
    expect(said('port 1884\nallow_anonymous true')).toContain('beyond this machine');
    expect(said('port 1884\nbind_address 127.0.0.1')).not.toContain('beyond this machine');
    expect(said('allow_anonymous true')).not.toContain('beyond this machine');
  });

  test('what is not sound is named without its value', () => {
    const text = 'connection a\naddress one:8883\nbridge_alpn a\u0007secret';
    const { warnings, config } = imported(text);
    expect(config.uplink.url).toContain('one:8883');
    expect(warnings.join()).toContain('uplink.alpn');
    expect(warnings.join()).not.toContain('secret');
  });

  test('an IPv6 address, and one that is none', () => {
    expect(imported('connection a\naddress fe80::1:1884').config.uplink.url).toBe(
      'mqtt://[fe80::1]:1884',
    );
    expect(imported('connection a\naddress bad host@').config.uplink.url).not.toContain('@');
  });
});

describe('the file as text', () => {
  test('CRLF, tabs, blanks, a mark at its beginning, no end of line', () => {
    const text = '\uFEFFlistener\t1884\t127.0.0.1\r\n\t# no\r\n  max_keepalive \t 60  \r\n\r\nxyz';
    const { config, outcomes } = imported(text);
    expect(config.mqtt).toMatchObject({ port: 1884, keepaliveLimitSeconds: 60 });
    expect(outcomes['xyz']).toBe('not-carried');
  });

  test('names that objects have of their own are names like any other', () => {
    const names = ['__proto__ x', 'constructor', 'toString y', 'connection a', '__proto__ z'];
    const { rows } = imported(names.join('\n'));
    expect(rows.filter(({ outcome }) => outcome === 'not-carried')).toHaveLength(4);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  test('what repeats: the last one holds; what does not fit together is mended and said', () => {
    const { config, warnings } = imported(
      'max_keepalive 5\nmax_keepalive 9\nmax_packet_size 2000\nmessage_size_limit 900000',
    );
    expect(config.mqtt.keepaliveLimitSeconds).toBe(9);
    expect(warnings.join()).toContain('mqtt.maxPayloadBytes is 2000');
    expect(config.mqtt.maxPacketBytes).toBeGreaterThanOrEqual(config.mqtt.maxPayloadBytes);
  });

  test('a megabyte of topics, listeners and nonsense comes to an end', () => {
    const many = Array.from({ length: 9000 }, (_, i) => [
      `topic in${i}/# in 1`,
      `topic a${i}/+ out`,
      `listener ${i}`,
      `nonsense${i} x`,
      'max_qos 1',
    ]);
    const text = ['connection a', 'address far', ...many.flat()].join('\n');
    expect(text.length).toBeGreaterThan(600_000);
    const { config, rows } = imported(text);
    expect(Object.keys(config.downlink.routes)).toHaveLength(32);
    expect(Object.keys(config.streams)).toHaveLength(32);
    expect(rows).toHaveLength(45_002);
  });
});
