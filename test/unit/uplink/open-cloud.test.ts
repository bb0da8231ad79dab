import { expect, test } from 'vitest';
import { orMissing } from '../../../src/uplink/open-cloud.ts';
import { protocolOf, serversOf } from '../../../src/uplink/uplink-url.ts';

test('a client that is not installed is an error that names the package', async () => {
  const missing = Object.assign(new Error("Cannot find package 'x'"), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
  const error = await orMissing('x', Promise.reject(missing)).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: 'UPLINK_CLIENT_MISSING',
    detail: 'the package x is not installed, and uplink.url needs it',
    cause: missing,
  });
});

test('what else a client fails with stays as it is', async () => {
  const broken = new SyntaxError('Unexpected token');
  await expect(orMissing('x', Promise.reject(broken))).rejects.toBe(broken);
  expect(await orMissing('x', Promise.resolve(7))).toBe(7);
});

test.each([
  ['nats://a:4222,b', 'nats', ['a:4222', 'b:4222']],
  ['TLS://a,[::1]:1', 'nats', ['a:4222', '[::1]:1']],
  ['kafka://a', 'kafka', ['a:4222']],
] as const)('%s is %s at %j', (url, protocol, servers) => {
  expect(protocolOf(url)).toBe(protocol);
  expect(serversOf(url, 4222)).toEqual(servers);
});

test.each(['mqtt://a', 'mqtts://a', 'ws://a/mqtt', ''])('%j is for the client of MQTT', (url) => {
  expect(protocolOf(url)).toBe('mqtt');
});
