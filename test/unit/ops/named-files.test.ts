import { expect, test } from 'vitest';
import { readNamedFiles } from '../../../src/ops/named-files.ts';
import type { Files } from '../../../src/os/files.ts';
import { configOf } from '../../support/config-loading.ts';
import { CERTIFICATE, KEY, OTHER_CERTIFICATE, OTHER_KEY } from '../../support/pems.ts';

/** What is wrong with files of these contents, by setting. */
async function faultsOf(texts: Record<string, string>): Promise<Record<string, string>> {
  const uplink = Object.keys(texts).map((name) => `  ${name}: /f/${name}\n`);
  const config = configOf(`uplink:\n  url: mqtts://cloud\n  username: u\n${uplink.join('')}`);
  const readText = async (path: string) => texts[path.slice('/f/'.length)];
  const { faults } = await readNamedFiles({ readText } as unknown as Files, config);
  return Object.fromEntries(faults.map(({ path, message }) => [path[1] ?? '', message]));
}

const TORN = CERTIFICATE.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA');

test('what TLS can use is sound: chains, words around them, a password of any kind', async () => {
  const caFile = `Our authorities\n${CERTIFICATE}\n${OTHER_CERTIFICATE}`;
  const all = { caFile, certFile: CERTIFICATE, keyFile: KEY, passwordFile: 'secret' };
  expect(await faultsOf(all)).toEqual({});
  expect(await faultsOf({ certFile: OTHER_CERTIFICATE + CERTIFICATE, keyFile: OTHER_KEY })).toEqual(
    {},
  );
});

test('what is no PEM is no certificate and no key', async () => {
  expect(await faultsOf({ caFile: 'garbage\n' })).toEqual({
    caFile: 'uplink.caFile: /f/caFile holds no certificate in PEM',
  });
  // A key in the place of an authority.
  expect(await faultsOf({ caFile: KEY })).toEqual({
    caFile: 'uplink.caFile: /f/caFile holds no certificate in PEM',
  });
  const swapped = await faultsOf({ certFile: KEY, keyFile: CERTIFICATE });
  expect(swapped['certFile']).toContain('holds no certificate');
  expect(swapped['keyFile']).toContain('holds no private key');
});

test('a damaged certificate is named by its number', async () => {
  const faults = await faultsOf({ caFile: CERTIFICATE + TORN });
  expect(faults['caFile']).toContain('(number 2)');
});

test('a key belongs to its certificate', async () => {
  expect(await faultsOf({ certFile: CERTIFICATE, keyFile: OTHER_KEY })).toEqual({
    keyFile: 'uplink.keyFile: /f/keyFile is not the key of the certificate in /f/certFile',
  });
});
