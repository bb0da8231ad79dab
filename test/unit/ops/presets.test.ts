import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { PRESET_NAMES, presetOf } from '../../../src/ops/cloud-presets.ts';
import { presetNotes, uplinkSummary } from '../../../src/ops/preset-rules.ts';
import { configOf, problemOf, problemsOf } from '../../support/config-loading.ts';

const page = readFileSync(
  fileURLToPath(new URL('../../../docs/presets.md', import.meta.url)),
  'utf8',
);
const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text);
const named = (text: string) => /preset: (\S+)/.exec(text)?.[1] ?? '';

/** The example of the docs, with these lines under `uplink:` instead of its own. */
function example(preset: string, ...lines: string[]): string {
  const text = examples.find((one) => named(one) === preset) ?? '';
  const names = lines.map((line) => /^\w+:/.exec(line)?.[0] ?? '');
  const kept = text.split('\n').filter((line) => !names.some((name) => line.includes(`  ${name}`)));
  return [...kept.filter((line) => line !== ''), ...lines.map((line) => `  ${line}`)].join('\n');
}

describe('docs/presets.md', () => {
  test('has an example of each preset', () => {
    expect(examples.map(named)).toEqual(PRESET_NAMES.filter((name) => name !== 'none'));
  });

  test.each(examples.map((text) => [named(text), text]))(
    '%s: its example is sound',
    (name, text) => {
      const { uplink } = configOf(text);
      expect(uplink.preset).toBe(name);
      expect(uplink.url).toMatch(/^mqtts:\/\/[^/]+:8883$/);
    },
  );
});

describe('a preset fills in', () => {
  const filled = (text: string) => configOf(text).uplink;

  test.each([
    [
      'aws-iot',
      {
        protocolVersion: 5,
        alpn: '',
        maxBytes: 131_072,
        budget: { publishesPerSecond: 100, kbitPerSecond: 4194.304 },
      },
    ],
    [
      'azure-iot-hub',
      {
        clientId: '{gateway}',
        username: 'factory.azure-devices.net/{gateway}/?api-version=2021-04-12',
        topic: 'devices/{gateway}/messages/events/',
        protocolVersion: 4,
        maxBytes: 262_144,
      },
    ],
    ['azure-event-grid', { clientId: '{gateway}', username: '{gateway}', protocolVersion: 5 }],
    ['hivemq-cloud', { protocolVersion: 5, maxBytes: 0, topic: '' }],
    ['emqx-cloud', { protocolVersion: 5, budget: { publishesPerSecond: 10, kbitPerSecond: 0 } }],
    ['thingsboard', { topic: 'v1/devices/me/telemetry', protocolVersion: 4, maxBytes: 65_536 }],
    ['mosquitto', { protocolVersion: 5, maxBytes: 0 }],
  ])('%s', (preset, settings) => {
    expect(filled(example(preset))).toMatchObject(settings);
  });

  test('nothing where something is set, and nothing for none', () => {
    const text = example(
      'aws-iot',
      'topic: a/{device}',
      'protocolVersion: 4',
      'maxBytes: 5000',
      'budget: { publishesPerSecond: 7, kbitPerSecond: 8 }',
    );
    expect(filled(text)).toMatchObject({
      topic: 'a/{device}',
      protocolVersion: 4,
      maxBytes: 5000,
      budget: { publishesPerSecond: 7, kbitPerSecond: 8 },
    });
    expect(configOf('uplink: { preset: none, url: "mqtts://a" }').uplink).toEqual(
      configOf('uplink: { url: "mqtts://a" }').uplink,
    );
  });

  test('what is empty or 0 is not set: the default file may be changed line by line', () => {
    const text = example('aws-iot', "topic: ''", 'maxBytes: 0', 'budget: { kbitPerSecond: 0 }');
    expect(filled(text)).toEqual(filled(example('aws-iot')));
  });

  test('a device of Azure may have another name than the gateway', () => {
    expect(filled(example('azure-iot-hub', 'clientId: boiler'))).toMatchObject({
      clientId: 'boiler',
      username: 'factory.azure-devices.net/boiler/?api-version=2021-04-12',
      topic: 'devices/boiler/messages/events/',
    });
  });

  test.each([
    ['aws-iot', 'a.example:443', 'mqtts://a.example:443'],
    ['aws-iot', 'mqtts://a.example', 'mqtts://a.example:8883'],
    ['aws-iot', 'mqtts://a.example:8884', 'mqtts://a.example:8884'],
    ['thingsboard', 'mqtt://tb.example', 'mqtt://tb.example:1883'],
    ['hivemq-cloud', 'wss://a.example', 'wss://a.example:8884/mqtt'],
    ['hivemq-cloud', 'wss://a.example:443/other', 'wss://a.example:443/other'],
    ['mosquitto', '"[::1]"', 'mqtts://[::1]:8883'],
  ])('%s: %s is %s', (preset, url, whole) => {
    expect(filled(example(preset, `url: ${url}`)).url).toBe(whole);
  });

  test.each([
    ['url: a.example:443', 'x-amzn-mqtt-ca'],
    ['url: a.example', ''],
    ['url: wss://a.example', ''],
  ])('AWS with %s asks for protocol "%s"', (line, alpn) => {
    const login = ['username: u', 'passwordFile: /p'];
    expect(filled(example('aws-iot', line, ...login)).alpn).toBe(alpn);
  });

  test('AWS on 443 with a custom authorizer asks for another protocol', () => {
    const login = ["certFile: ''", "keyFile: ''", 'username: u', 'passwordFile: /p'];
    expect(filled(example('aws-iot', 'url: a.example:443', ...login)).alpn).toBe('mqtt');
    const own = example('aws-iot', 'url: a.example:443', 'alpn: own');
    expect(filled(own).alpn).toBe('own');
  });
});

describe('what the cloud would refuse is a problem', () => {
  const long = 'x'.repeat(140);

  // preset, what is set, where the problem is, its words, and the same with what works.
  test.each<[string, string, string, string, string]>([
    ['aws-iot', "url: ''", 'preset', 'nothing would be sent', 'url: a.example'],
    ['azure-iot-hub', 'url: mqtt://a', 'url', 'mqtts:// and wss:// only', 'url: mqtts://a'],
    ['hivemq-cloud', 'url: ws://a', 'url', 'takes mqtts:// and wss://', 'url: wss://a'],
    ['azure-iot-hub', 'protocolVersion: 5', 'protocolVersion', '3.1.1', 'protocolVersion: 4'],
    ['thingsboard', 'shape: batch', 'shape', 'JSON of its own', 'shape: raw'],
    ['azure-iot-hub', "passwordFile: ''", 'preset', 'prove who it is', 'passwordFile: /p'],
    ['hivemq-cloud', "passwordFile: ''", 'preset', 'prove who it is', 'passwordFile: /p'],
    ['thingsboard', "username: ''", 'preset', 'prove who it is', 'username: token'],
    // A certificate does nothing for a websocket there.
    ['aws-iot', 'url: wss://a', 'preset', 'over wss://', 'url: mqtts://a'],
    ['aws-iot', 'keepaliveSeconds: 1201', 'keepaliveSeconds', '1200', 'keepaliveSeconds: 1200'],
    ['azure-iot-hub', 'keepaliveSeconds: 1178', 'keepaliveSeconds', '', 'keepaliveSeconds: 1177'],
    ['aws-iot', 'window: 101', 'window', 'takes 100 at most', 'window: 100'],
    ['aws-iot', 'maxBytes: 131073', 'maxBytes', '131072 at most', 'maxBytes: 131072'],
    [
      'emqx-cloud',
      'budget: { publishesPerSecond: 11 }',
      'budget.publishesPerSecond',
      '10 at most',
      'budget: { publishesPerSecond: 10 }',
    ],
    [
      'aws-iot',
      'budget: { kbitPerSecond: 4195 }',
      'budget.kbitPerSecond',
      '4194.304 at most',
      'budget: { kbitPerSecond: 4194 }',
    ],
    ['aws-iot', 'topic: a/b/c/d/e/f/g/h/i', 'topic', '9 levels', 'topic: a/b/c/d/e/f/g/h'],
    [
      'aws-iot',
      'topic: $aws/rules/r/1/2/3/4/5/6/7/8/9',
      'topic',
      '9 levels',
      'topic: $aws/rules/r/1/2/3/4/5/6/7/8',
    ],
    ['aws-iot', `topic: ${long}${long}`, 'topic', 'longer', `topic: ${long}`],
    ['aws-iot', `clientId: ${long}`, 'clientId', '140 bytes', 'clientId: short'],
    ['azure-iot-hub', 'topic: a/b', 'topic', 'devices/DEVICE', 'topic: devices/d/messages/events/'],
  ])('%s: %s', (preset, wrong, path, ...[says, right]) => {
    const problem = problemOf(example(preset, wrong));
    expect(problem.path).toBe(`uplink.${path}`);
    expect(problem.message).toContain(says);
    configOf(example(preset, right));
  });

  test('a topic counts with the longest name that a device may have', () => {
    const of = (fixed: number) =>
      example('aws-iot', 'shape: raw', `topic: ${'x'.repeat(fixed)}/{device}`);
    expect(problemOf(of(128)).message).toContain('may have 257 bytes');
    configOf(of(127));
    // A batch has many devices.
    configOf(of(128).replace('raw', 'batch'));
  });

  test('a name of a gateway that is not known yet counts as the longest of a host', () => {
    const of = (fixed: number, gateway: string) =>
      example('aws-iot', `topic: ${'x'.repeat(fixed)}/{gateway}`).replace('plant-4', gateway);
    expect(problemOf(of(192, "''")).message).toContain('may have 257 bytes');
    configOf(of(191, "''"));
    configOf(of(192, 'plant-4'));
  });

  test.each([
    ['aws-iot', 'certFile and uplink.keyFile, or uplink.username and uplink.passwordFile'],
    ['azure-iot-hub', 'certFile and uplink.keyFile, or uplink.passwordFile'],
    ['azure-event-grid', 'certFile and uplink.keyFile, or uplink.passwordFile'],
    ['hivemq-cloud', 'username and uplink.passwordFile'],
    ['thingsboard', 'username, or uplink.certFile and uplink.keyFile'],
  ])('what is to be set for a login to %s', (preset, settings) => {
    const { mend } = problemOf(`uplink: { preset: ${preset}, url: a.example }`);
    expect(mend).toBe(`set uplink.${settings}`);
  });

  test.each(['url: x.example', 'url: "mqtts://x.example", passwordFile: /p'])(
    'of a preset that there is not, nothing more is said than that: %s',
    (rest) => {
      const problem = problemOf(`uplink: { preset: aws, ${rest} }`);
      expect(problem.path).toBe('uplink.preset');
      expect(problem.message).toContain('aws-iot, azure-iot-hub');
    },
  );

  test('an address that no preset would mend is a problem beside it', () => {
    const problems = problemsOf('uplink: { preset: aws, url: "http://x.example" }');
    expect(problems.map(({ path }) => path)).toEqual(['uplink.preset', 'uplink.url']);
    expect(problemOf('uplink: { url: x.example }').path).toBe('uplink.url');
  });

  test('each has its line', () => {
    const problems = problemsOf(example('aws-iot', 'window: 200', 'keepaliveSeconds: 2000'));
    expect(problems.map(({ path, line }) => [path, line])).toEqual([
      ['uplink.window', 8],
      ['uplink.keepaliveSeconds', 9],
    ]);
  });
});

describe('what headgate check says of it', () => {
  const notes = (...given: [string, ...string[]]) => presetNotes(configOf(example(...given)));

  test('the settings as they will be', () => {
    expect(uplinkSummary(configOf(example('emqx-cloud')))).toMatchObject({
      preset: 'emqx-cloud',
      url: 'mqtts://abcdef.ala.eu-central-1.emqxsl.com:8883',
      clientId: 'headgate-{gateway}',
      topic: 'headgate/{gateway}/{stream}',
      limits: { maxBytes: 1_048_576, window: 1000, publishesPerSecond: 10, kbitPerSecond: 0 },
      notes: [],
    });
  });

  test.each(examples.map((text) => named(text)))('%s: its host is none to wonder at', (preset) => {
    expect(notes(preset as 'aws-iot').join()).not.toContain('hosts of');
    const end = presetOf(preset)?.hostEnd;
    const others = notes(preset, 'url: cloud.example').join();
    if (end === undefined) expect(others).not.toContain('hosts of');
    else expect(others).toContain(`end with ${end}`);
  });

  test('readings that fit in no publish', () => {
    expect(notes('aws-iot').join()).toContain('more than about 130048 bytes');
    const small = presetNotes(configOf(`${example('aws-iot')}\nmqtt: { maxPayloadBytes: 130048 }`));
    expect(small).toEqual([]);
  });

  test('what a rate comes to', () => {
    expect(notes('emqx-cloud', 'shape: raw').join()).toContain('10 records in shape raw');
    expect(notes('emqx-cloud')).toEqual([]);
  });

  test('an identity that a batch has no use for, with and without a preset', () => {
    const of = (uplink: string) => uplinkSummary(configOf(`uplink: { ${uplink} }`)).notes;
    for (const url of ['url: "mqtt://a"', 'preset: mosquitto, url: a']) {
      const [note, ...others] = of(`${url}, shape: batch, identity: properties`);
      expect(note).toContain('identity: properties has no effect in shape batch');
      expect(others).toEqual([]);
      expect(of(`${url}, shape: batch`)).toEqual([]);
      expect(of(`${url}, identity: properties, protocolVersion: 5`)).toEqual([]);
    }
    expect(of('shape: batch, identity: properties')).toEqual([]);
  });

  test('nothing without a preset', () => {
    expect(presetNotes(configOf('uplink: { url: "mqtt://a" }'))).toEqual([]);
  });
});
