import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { presetNotes } from '../../../src/ops/preset-rules.ts';
import { configOf, problemsOf } from '../../support/config-loading.ts';

// Each number of the presets as docs/presets.md has it: the last that works, the first that does
// not. What is filled in and what the rules say: presets.test.ts.

const CERTIFICATE = ['certFile: /c', 'keyFile: /k'];
const PASSWORD = ['username: u', 'passwordFile: /p'];

function text(preset: string, ...lines: string[]): string {
  const all = [`preset: ${preset}`, ...lines].map((line) => `  ${line}`);
  return `gateway: { id: g }\nuplink:\n${all.join('\n')}`;
}

const paths = (...given: [string, ...string[]]) =>
  problemsOf(text(...given)).map(({ path }) => path);
const works = (...given: [string, ...string[]]) => configOf(text(...given)).uplink;

describe('a port and a path of its own', () => {
  test.each([
    ['aws-iot', 'mqtts://a', PASSWORD, 'mqtts://a:8883'],
    ['aws-iot', 'wss://a', PASSWORD, 'wss://a:443/mqtt'],
    ['azure-iot-hub', 'a', PASSWORD, 'mqtts://a:8883'],
    ['azure-iot-hub', 'wss://a', PASSWORD, 'wss://a:443/$iothub/websocket'],
    ['azure-event-grid', 'a', CERTIFICATE, 'mqtts://a:8883'],
    ['azure-event-grid', 'wss://a', CERTIFICATE, 'wss://a:443/mqtt'],
    ['hivemq-cloud', 'a', PASSWORD, 'mqtts://a:8883'],
    ['hivemq-cloud', 'wss://a/', PASSWORD, 'wss://a:8884/mqtt'],
    ['emqx-cloud', 'a', PASSWORD, 'mqtts://a:8883'],
    ['emqx-cloud', 'wss://a', PASSWORD, 'wss://a:8084/mqtt'],
    ['thingsboard', 'a', ['username: t'], 'mqtts://a:8883'],
    ['thingsboard', 'mqtt://a', ['username: t'], 'mqtt://a:1883'],
    ['mosquitto', 'a', [], 'mqtts://a:8883'],
    ['mosquitto', 'mqtt://a', [], 'mqtt://a:1883'],
    ['mosquitto', 'wss://a', [], 'wss://a:443/'],
    ['mosquitto', 'ws://a', [], 'ws://a:80/'],
  ])('%s: %s', (preset, url, login, whole) => {
    expect(works(preset, `url: ${url}`, ...login).url).toBe(whole);
  });
});

describe('who it is', () => {
  test.each([
    ['aws-iot', CERTIFICATE, PASSWORD],
    ['azure-iot-hub', CERTIFICATE, PASSWORD],
    ['azure-event-grid', CERTIFICATE, PASSWORD],
    ['hivemq-cloud', PASSWORD],
    ['emqx-cloud', PASSWORD],
    ['thingsboard', CERTIFICATE, ['username: t']],
    ['mosquitto', []],
  ])('%s takes what is enough for it', (name, ...logins) => {
    for (const login of logins) expect(works(name, 'url: a', ...login).preset).toBe(name);
  });

  test.each([
    ['aws-iot', [], ['username: u']],
    ['azure-iot-hub', [], ['username: u']],
    ['azure-event-grid', [], ['username: u']],
    ['hivemq-cloud', [], CERTIFICATE, ['username: u']],
    ['emqx-cloud', [], CERTIFICATE, ['username: u']],
    ['thingsboard', []],
  ])('%s takes nobody with less', (name, ...logins) => {
    for (const login of logins) expect(paths(name, 'url: a', ...login)).toEqual(['uplink.preset']);
  });
});

describe('a limit', () => {
  const long = (bytes: number) => 'x'.repeat(bytes);
  const rate = (name: string, value: number) => `budget: { ${name}: ${value} }`;

  // Preset, setting, what works and what does not.
  test.each<[string, string, string, string]>([
    ['aws-iot', 'maxBytes', 'maxBytes: 131072', 'maxBytes: 131073'],
    ['aws-iot', 'clientId', `clientId: ${long(128)}`, `clientId: ${long(129)}`],
    ['aws-iot', 'topic', 'topic: 1/2/3/4/5/6/7/8', 'topic: 1/2/3/4/5/6/7/8/9'],
    ['aws-iot', 'topic', `topic: ${long(256)}`, `topic: ${long(257)}`],
    ['aws-iot', 'keepaliveSeconds', 'keepaliveSeconds: 1200', 'keepaliveSeconds: 1201'],
    ['aws-iot', 'window', 'window: 100', 'window: 101'],
    [
      ...(['aws-iot', 'budget.publishesPerSecond'] as const),
      ...([rate('publishesPerSecond', 100), rate('publishesPerSecond', 101)] as const),
    ],
    [
      ...(['aws-iot', 'budget.kbitPerSecond'] as const),
      ...([rate('kbitPerSecond', 4194.304), rate('kbitPerSecond', 4194.305)] as const),
    ],
    ['azure-iot-hub', 'maxBytes', 'maxBytes: 262144', 'maxBytes: 262145'],
    ['azure-iot-hub', 'clientId', `clientId: ${long(128)}`, `clientId: ${long(129)}`],
    ['azure-iot-hub', 'keepaliveSeconds', 'keepaliveSeconds: 1177', 'keepaliveSeconds: 1178'],
    ['azure-event-grid', 'maxBytes', 'maxBytes: 524288', 'maxBytes: 524289'],
    [
      ...(['azure-event-grid', 'budget.publishesPerSecond'] as const),
      ...([rate('publishesPerSecond', 1000), rate('publishesPerSecond', 1001)] as const),
    ],
    [
      ...(['azure-event-grid', 'budget.kbitPerSecond'] as const),
      ...([rate('kbitPerSecond', 8000), rate('kbitPerSecond', 8000.001)] as const),
    ],
    ['emqx-cloud', 'maxBytes', 'maxBytes: 1048576', 'maxBytes: 1048577'],
    ['emqx-cloud', 'topic', 'topic: 1/2/3/4/5/6/7/8/9/0', 'topic: 1/2/3/4/5/6/7/8/9/0/1'],
    [
      ...(['emqx-cloud', 'budget.publishesPerSecond'] as const),
      ...([rate('publishesPerSecond', 10), rate('publishesPerSecond', 11)] as const),
    ],
    ['thingsboard', 'maxBytes', 'maxBytes: 65536', 'maxBytes: 65537'],
  ])('%s: %s', (preset, setting, right, wrong) => {
    expect(works(preset, 'url: a', ...PASSWORD, right).preset).toBe(preset);
    expect(paths(preset, 'url: a', ...PASSWORD, wrong)).toEqual([`uplink.${setting}`]);
  });

  test.each(['hivemq-cloud', 'mosquitto'])('%s has none that is known', (preset) => {
    const large = ['keepaliveSeconds: 65535', 'maxBytes: 16777216', 'window: 60000'];
    const fast = 'budget: { publishesPerSecond: 100000, kbitPerSecond: 1000000 }';
    const topic = `topic: ${Array(20).fill('level').join('/')}/${long(100)}`;
    const client = `clientId: ${long(256)}`;
    const set = [...PASSWORD, ...large, fast, topic, client];
    expect(works(preset, 'url: a', ...set).preset).toBe(preset);
  });
});

test.each([
  ['aws-iot', '.amazonaws.com'],
  ['azure-iot-hub', '.azure-devices.net'],
  ['azure-event-grid', '.ts.eventgrid.azure.net'],
  ['hivemq-cloud', '.hivemq.cloud'],
  ['emqx-cloud', '.emqxsl.com'],
  ['thingsboard', undefined],
  ['mosquitto', undefined],
])('%s: another host than %s is one to wonder at', (preset, end) => {
  const notes = (host: string) =>
    presetNotes(configOf(text(preset, `url: ${host}`, ...PASSWORD)))
      .filter((note) => note.startsWith('hosts of'))
      .map((note) => / end with (\S+)/.exec(note)?.[1]);
  expect(notes('cloud.example')).toEqual(end === undefined ? [] : [end]);
  if (end !== undefined) expect(notes(`abc${end}`)).toEqual([]);
});

test.each([
  ['azure-iot-hub', ['share one topic', 'ends with its time']],
  ['azure-event-grid', ['topic space']],
  ['thingsboard', ['take "payload" apart']],
])('%s: its notes', (preset, said) => {
  const notes = presetNotes(configOf(text(preset, 'url: a', ...PASSWORD)));
  for (const words of said) expect(notes.join('\n')).toContain(words);
});

test('the table of docs/presets.md says the same', () => {
  const file = fileURLToPath(new URL('../../../docs/presets.md', import.meta.url));
  const page = readFileSync(file, 'utf8');
  const row = (preset: string) =>
    page.split('\n').find((line) => line.startsWith(`| \`${preset}\``)) ?? '';
  const says: Readonly<Record<string, readonly string[]>> = {
    'aws-iot': ['128 KiB', '100 publishes/s', '512 KiB/s', '8 levels', '256 bytes', '1200 s'],
    'azure-iot-hub': ['256 KiB', '1177 s', 'client id 128 bytes'],
    'azure-event-grid': ['512 KiB', '1000 publishes/s', '1 MB/s'],
    'emqx-cloud': ['1 MiB', '10 publishes/s', '10 levels', '1024 bytes', '8084'],
    thingsboard: ['64 KiB', '1883'],
    'hivemq-cloud': ['8884'],
  };
  for (const [preset, all] of Object.entries(says)) {
    for (const one of all) expect(row(preset)).toContain(one);
  }
});
