import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ERRORS } from '../src/base/errors.ts';
import { configMarkdown, defaultConfigYaml, errorsMarkdown } from '../src/ops/config-docs.ts';
import { CONFIG_KEYS } from '../src/ops/config-keys.ts';
import { loadConfig } from '../src/ops/load-config.ts';
import { VERSION } from '../src/version.ts';

// docs/config.md and docs/errors.md are written from the tables in the code. This test holds them
// to it.

const REWRITE = 'UPDATE_DOCS=1 npx vitest run test/docs.test.ts';

const pages = [
  { name: 'config.md', text: configMarkdown() },
  { name: 'errors.md', text: errorsMarkdown() },
];

test.each(pages)('docs/$name says what the table says', ({ name, text }) => {
  const path = fileURLToPath(new URL(`../docs/${name}`, import.meta.url));
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(path, text);
  expect(readFileSync(path, 'utf8'), `docs/${name} is out of date; rewrite it: ${REWRITE}`).toBe(
    text,
  );
});

test('every setting and every error is on its page, with words of its own', () => {
  const [config, errors] = pages;
  for (const { path, description } of CONFIG_KEYS) {
    expect(config?.text).toContain(`\`${path.join('.')}\``);
    expect(description, path.join('.')).toMatch(/^.{10,}\.$/);
  }
  for (const code of Object.keys(ERRORS)) expect(errors?.text).toContain(`## ${code}\n`);
});

test('the default file gives the same configuration as no file at all', () => {
  const written = loadConfig({ text: defaultConfigYaml(), env: {} });
  const bare = loadConfig({ text: '', env: {} });
  expect(written.ok && written.config).toEqual(bare.ok && bare.config);
  expect(written.ok).toBe(true);
});

test.each(['deploy/headgate.yaml', 'README.md'])('the configuration in %s is sound', (name) => {
  const page = readFileSync(fileURLToPath(new URL(`../${name}`, import.meta.url)), 'utf8');
  const text = name.endsWith('.md') ? page.split('```yaml\n')[1]?.split('```')[0] : page;
  const loaded = loadConfig({ text: text ?? '', env: {} });
  expect(loaded).toMatchObject({ ok: true, config: { gateway: { id: 'site-7' } } });
});

test('the configurations in docs/uplink.md are sound, over TLS and not', () => {
  const texts = [...textOf('docs/uplink.md').matchAll(/```yaml\n(.*?)```/gs)];
  const urls = texts.map(([, text = '']) => {
    const loaded = loadConfig({ text, env: {} });
    if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join());
    return loaded.config.uplink.url;
  });
  expect(urls).toEqual(['mqtt://127.0.0.1:1883', 'mqtts://cloud.example:8883']);
});

const textOf = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../${name}`, import.meta.url)), 'utf8');

/** The settings of a unit file, by name. */
function unitOf(name: string): Map<string, string> {
  const lines = textOf(name).split('\n');
  const settings = lines.filter((line) => /^[A-Z]\w+=/.test(line));
  return new Map(settings.map((line) => [line.split('=', 1)[0] ?? '', line.replace(/^\w+=/, '')]));
}

test('the example has its password and its line under the service', () => {
  const loaded = loadConfig({ text: textOf('deploy/headgate.yaml'), env: {} });
  if (!loaded.ok) throw new Error('not sound');
  const { uplink, gpio } = loaded.config;
  // What is in the folder of keys has the folder's name before its own.
  const [id, folder] = unitOf('systemd/headgate.service').get('LoadCredential')?.split(':') ?? [];
  const [where, name] = uplink.passwordFile.split(`/${id}_`);
  expect(where).toBe('/run/credentials/headgate.service');
  expect(textOf('deploy/headgate.yaml')).toContain(`${folder}/${name}`);
  expect(textOf('systemd/headgate.tmpfiles')).toContain(`d ${folder} 0700 root root -`);
  expect(gpio.pin).toBeGreaterThan(0);
  expect(textOf('systemd/headgate.sysusers')).toMatch(/^g gpio /m);
  expect(textOf('systemd/headgate.sysusers')).toMatch(/^m headgate gpio$/m);
});

test('the service never gives up, and waits longer each time', () => {
  const service = unitOf('systemd/headgate.service');
  expect(service.get('StartLimitIntervalSec')).toBe('0');
  expect(Number(service.get('RestartSec'))).toBeGreaterThanOrEqual(5);
  expect(Number(service.get('RestartSteps'))).toBeGreaterThan(1);
});

test('the release is the same in package.json and in the code', () => {
  const path = fileURLToPath(new URL('../package.json', import.meta.url));
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
  expect(VERSION).toBe(version);
});
