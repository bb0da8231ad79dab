import { describe, expect, test } from 'vitest';
import { CONFIG_STEPS, CONFIG_VERSION, renamed } from '../../../src/ops/config-version.ts';
import { configOf, load, problemOf, problemsOf } from '../../support/config-loading.ts';

/** As it may look some releases from now: mqtt.port had two other names before. */
const LATER = {
  version: 3,
  steps: [
    { version: 2, changes: [renamed('listener.number', 'mqtt.portNumber')] },
    {
      version: 3,
      changes: [
        renamed('mqtt.portNumber', 'mqtt.port'),
        renamed('bridge', 'uplink'),
        {
          from: ['detect', 'off'],
          to: ['detect', 'enabled'],
          what: 'detect.off is detect.enabled now, the other way round',
          apply: (tree: Readonly<Record<string, unknown>>) => {
            const detect = tree['detect'] as { off?: boolean } | undefined;
            if (detect?.off === undefined) return undefined;
            return { ...tree, detect: { enabled: !detect.off } };
          },
        },
      ],
    },
  ],
};

describe('the version of a configuration', () => {
  test('steps lead from 2 to the present one, each once', () => {
    const versions = CONFIG_STEPS.map(({ version }) => version);
    expect(versions).toEqual(Array.from({ length: CONFIG_VERSION - 1 }, (_, i) => i + 2));
  });

  test('a file that names none, or the present one, is read as it is', () => {
    for (const text of ['', 'mqtt: { port: 7 }', `version: ${CONFIG_VERSION}`]) {
      const loaded = load(text);
      expect(loaded).toMatchObject({ ok: true, warnings: [] });
      if (loaded.ok) expect(loaded.config.version).toBe(CONFIG_VERSION);
    }
  });

  test('a newer one is refused, and nothing else in it is looked at', () => {
    const newer = CONFIG_VERSION + 1;
    const problem = problemOf(`mqtt: { teleport: 7 }\nversion: ${newer}\nlog: 3\n`);
    expect(problem).toMatchObject({ path: 'version', line: 2, column: 10 });
    expect(problem.message).toContain(`version is ${newer}: a newer release wrote this file`);
    expect(problem.message).toContain(`up to ${CONFIG_VERSION}`);
    expect(problem.mend).toContain('install that release again');
  });

  test.each(['0', '-1', '1.5', 'one', '"1"', 'true', '[1]'])('version: %s is none', (version) => {
    expect(problemOf(`version: ${version}`).message).toBe('version is no whole number from 1 on');
  });
});

describe('an older file, with a made-up table of changes', () => {
  const text = 'version: 1\nlistener:\n  number: 7000\ndetect: { off: true }\n';

  test('is read through every step in turn', () => {
    const config = configOf(text, { versions: LATER });
    expect(config).toMatchObject({ mqtt: { port: 7000 }, detect: { enabled: false } });
  });

  test('each change is named, and where the file has it', () => {
    const loaded = load(text, { versions: LATER });
    expect(loaded.ok && loaded.warnings).toMatchObject(
      [
        { path: 'listener.number', line: 3, message: /listener.number is mqtt.portNumber now/ },
        { path: 'mqtt.portNumber', message: /mqtt.portNumber is mqtt.port now/ },
        { path: 'detect.off', line: 4, message: /the other way round/ },
      ].map((warning) => ({ ...warning, message: expect.stringMatching(warning.message) })),
    );
    expect(loaded.ok && loaded.warnings[0]?.mend).toContain('version: 3');
  });

  test('begins with the step after its own version', () => {
    const two = 'version: 2\nmqtt: { portNumber: 7001 }\n';
    const loaded = load(two, { versions: LATER });
    expect(loaded.ok && loaded.config.mqtt.port).toBe(7001);
    expect(loaded.ok && loaded.warnings).toHaveLength(1);
    // What version 1 called it was no setting of version 2.
    const wrong = problemOf('version: 2\nlistener: { number: 1 }\n', { versions: LATER });
    expect(wrong.message).toBe('there is no setting "listener" at the top');
  });

  test('a problem in what was moved stands on its line', () => {
    const [problem] = problemsOf('version: 2\nbridge:\n  url: mqtt://a\n  window: 0\n', {
      versions: LATER,
    });
    expect(problem).toMatchObject({ path: 'uplink.window', line: 4, column: 11 });
  });

  test('also where it was moved twice', () => {
    const twice = 'version: 1\nlistener:\n  number: 70000\n';
    expect(problemOf(twice, { versions: LATER })).toMatchObject({ path: 'mqtt.port', line: 3 });
  });

  test('of the old name and the new one, both there, the old one is an error', () => {
    const both = 'version: 2\nmqtt: { portNumber: 1, port: 2 }\n';
    expect(problemOf(both, { versions: LATER }).message).toContain('"portNumber" under mqtt');
  });

  test('what is no map where one should be is left to the check', () => {
    for (const odd of ['listener: 3', 'listener: []', 'listener: { number: 7 }\nmqtt: 5']) {
      expect(load(`version: 1\n${odd}\n`, { versions: LATER }).ok).toBe(false);
    }
  });
});
