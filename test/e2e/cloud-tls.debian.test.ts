import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Envelope } from '../../src/uplink/envelope.ts';
import { freePort } from '../support/free-port.ts';
import { cleanUp, GatewayProcess, temporaryFolder } from '../support/gateway-process.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { type Subscription, subscribe } from '../support/subscriber.ts';
import { until } from '../support/until.ts';

// A cloud as they are in the field: TLS, a certificate of each gateway, a name and a password.

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const heard: Envelope[] = [];
let mosquitto: Mosquitto;
let collector: Subscription;
let tlsPort = 0;

const openssl = (...args: string[]) =>
  execFileSync('openssl', args, { stdio: 'pipe', cwd: folder });

function makeAuthority(name: string): void {
  const subject = ['-subj', `/CN=${name}`];
  const out = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, ...out);
}

function makeCertificate(name: string, authority: string): void {
  const request = ['-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`];
  openssl('req', '-newkey', 'rsa:2048', '-nodes', ...request);
  writeFileSync(at('names.cnf'), 'subjectAltName=IP:127.0.0.1');
  const signer = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial'];
  const out = ['-extfile', 'names.cnf', '-days', '2', '-out', `${name}.pem`];
  openssl('x509', '-req', '-in', `${name}.csr`, ...signer, ...out);
}

beforeAll(async () => {
  makeAuthority('authority');
  makeAuthority('stranger');
  makeCertificate('cloud', 'authority');
  makeCertificate('plant', 'authority');
  writeFileSync(at('password'), 'correct horse\n');
  execFileSync('mosquitto_passwd', ['-b', '-c', at('users'), 'plant', 'correct horse']);
  tlsPort = await freePort();
  mosquitto = new Mosquitto(folder, await freePort(), [
    `listener ${tlsPort} 127.0.0.1`,
    'allow_anonymous false',
    `password_file ${at('users')}`,
    `cafile ${at('authority.pem')}`,
    `certfile ${at('cloud.pem')}`,
    `keyfile ${at('cloud.key')}`,
    'require_certificate true',
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

const start = (authority: string) =>
  GatewayProcess.start({
    config: `uplink:
  url: mqtts://127.0.0.1:${tlsPort}
  username: plant
  passwordFile: ${at('password')}
  caFile: ${at(`${authority}.pem`)}
  certFile: ${at('plant.pem')}
  keyFile: ${at('plant.key')}
`,
  });

it('gets the readings of a gateway that proves who it is', async () => {
  const gateway = await start('authority');
  const client = await TestClient.connect(gateway.port);
  expect(await client.publish('sensors/boiler/t', '{"id":"1","value":20}')).toBe(true);
  await until('the cloud has it', () => heard.length > 0);
  expect(heard).toMatchObject([{ device: 'boiler', id: '1' }]);
  await client.end();
  expect(await gateway.stop()).toBe(0);
});

it('gets nothing if the gateway does not trust it', async () => {
  const gateway = await start('stranger');
  const { uplink } = await gateway.until('the try has failed', ({ uplink: { lastError } }) =>
    Boolean(lastError),
  );
  expect(uplink.link).toBe('down');
  expect(uplink.lastError).toMatch(/certificate|issuer|verify/i);
  expect(await gateway.stop()).toBe(0);
});
