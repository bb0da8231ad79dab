import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Envelope } from '../../src/uplink/envelope.ts';
import { mqttCloud } from '../../src/uplink/mqtt-link.ts';
import { freePort } from '../support/free-port.ts';
import { cleanUp, GatewayProcess, temporaryFolder } from '../support/gateway-process.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { type Subscription, subscribe } from '../support/subscriber.ts';
import { until } from '../support/until.ts';

// Mosquitto behind websockets, and with limits that it tells a client of MQTT 5.

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const heard: Envelope[] = [];
let mosquitto: Mosquitto;
let collector: Subscription;
const ports = { ws: 0, wss: 0, qos0: 0 };

beforeAll(async () => {
  const names = 'subjectAltName=DNS:cloud.test';
  const subject = ['-subj', '/CN=cloud.test', '-addext', names, '-days', '2'];
  const out = ['-keyout', at('cloud.key'), '-out', at('cloud.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, ...out], {
    stdio: 'pipe',
  });
  for (const name of ['ws', 'wss', 'qos0'] as const) ports[name] = await freePort();
  mosquitto = new Mosquitto(folder, await freePort(), [
    `listener ${ports.ws} 127.0.0.1`,
    'protocol websockets',
    'allow_anonymous true',
    `listener ${ports.wss} 127.0.0.1`,
    'protocol websockets',
    'allow_anonymous true',
    `certfile ${at('cloud.pem')}`,
    `keyfile ${at('cloud.key')}`,
    `listener ${ports.qos0} 127.0.0.1`,
    'allow_anonymous true',
    'max_qos 0',
    'max_packet_size 5000',
    'max_inflight_messages 7',
  ]);
  await mosquitto.start();
  const url = `mqtt://127.0.0.1:${mosquitto.port}`;
  collector = await subscribe({ url, clientId: 'collector' }, 'headgate/#', (_, payload) => {
    heard.push(JSON.parse(payload.toString()) as Envelope);
  });
});

afterAll(async () => {
  await collector?.close();
  await mosquitto?.stop();
  await cleanUp();
});

it.each([
  ['ws', ''],
  ['wss', `  caFile: ${at('cloud.pem')}\n  serverName: cloud.test\n`],
] as const)('gets the readings over %s://', async (scheme, more) => {
  const gateway = await GatewayProcess.start({
    config: `uplink:\n  url: ${scheme}://127.0.0.1:${ports[scheme]}/mqtt\n${more}`,
  });
  const client = await TestClient.connect(gateway.port);
  const id = `over-${scheme}`;
  expect(await client.publish('sensors/boiler/t', `{"id":"${id}","value":20}`)).toBe(true);
  await until('the cloud has it', () => heard.some((record) => record.id === id));
  await client.end();
  expect(await gateway.stop()).toBe(0);
});

function open(port: number) {
  return mqttCloud({
    url: `mqtt://127.0.0.1:${port}`,
    clientId: 'gw',
    username: '',
    password: undefined,
    protocolVersion: 5,
    keepaliveSeconds: 60,
    connectTimeoutMs: 5_000,
    ackTimeoutMs: 5_000,
    clock: systemClock,
    tls: {},
  })(new AbortController().signal);
}

it('says how much it takes, and is believed', async () => {
  expect(readFileSync(at('mosquitto.conf'), 'utf8')).toContain('max_packet_size 5000');
  const link = await open(mosquitto.port);
  expect(link).toMatchObject({ receiveMaximum: 7, maximumSizeBytes: 5000 });
  await link.close();
  await expect(open(ports.qos0)).rejects.toThrow('QoS 0 alone');
});
