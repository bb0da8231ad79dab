import { describe, expect, test } from 'vitest';
import { CONFIG_KEYS } from '../../../src/ops/config-keys.ts';
import { loadConfig } from '../../../src/ops/load-config.ts';
import { configOf, load, problemOf } from '../../support/config-loading.ts';

describe('the environment and the command line', () => {
  test('every setting with a variable takes it', () => {
    const samples = { 'a text': 'x', 'true or false': 'true' } as Record<string, string>;
    for (const key of CONFIG_KEYS) {
      if (key.variable === undefined) continue;
      const sample =
        samples[key.allowed] ?? (key.isText ? String(key.default) : JSON.stringify(key.default));
      const loaded = load('mqtt: { allowAnonymous: true }', {
        env: { [key.variable]: sample ?? '1' },
      });
      expect(loaded.ok, key.variable).toBe(true);
    }
  });

  test('wins over the file; the command line wins over both', () => {
    const text = 'mqtt: { port: 1 }\ndata: { dir: /file }\nlogger: { level: warn }';
    const env = {
      HEADGATE_MQTT_PORT: '2',
      HEADGATE_DATA_DIR: '/env',
      HEADGATE_LOGGER_LEVEL: 'error',
    };
    expect(configOf(text, { env })).toMatchObject({
      mqtt: { port: 2 },
      data: { dir: '/env' },
      logger: { level: 'error' },
    });
    const overrides = { port: 3, dataDir: '/option' };
    expect(configOf(text, { env, overrides })).toMatchObject({
      mqtt: { port: 3 },
      data: { dir: '/option' },
    });
  });

  test('HEADGATE_DATA is the data folder, HEADGATE_CONFIG is none of our business', () => {
    const env = { HEADGATE_DATA: '/d', HEADGATE_CONFIG: '/etc/x.yaml', PATH: '/bin' };
    expect(configOf('', { env }).data.dir).toBe('/d');
  });

  test('takes texts as they stand, and lists and maps in flow form', () => {
    const env = {
      HEADGATE_GATEWAY_ID: '0123',
      HEADGATE_UPLINK_USERNAME: '',
      HEADGATE_LOG_LINGER_MS: '',
      HEADGATE_UPLINK_STREAMS: '[m]',
      HEADGATE_STREAMS: '{ m: { topics: ["m/<device>"] } }',
      HEADGATE_LOG_RETENTION_MAX_AGE_HOURS: '24',
    };
    const config = configOf('uplink: { username: me }', { env });
    expect(config).toMatchObject({
      gateway: { id: '0123' },
      uplink: { username: '', streams: ['m'] },
      log: { lingerMs: 5, retention: { maxAgeHours: 24, maxBytes: 1_073_741_824 } },
    });
    expect(Object.keys(config.streams)).toEqual(['m']);
  });

  test.each([
    [{ HEADGATE_MQTT_PORT: '70000' }, 'HEADGATE_MQTT_PORT: mqtt.port is 70000; allowed: a whole'],
    [{ HEADGATE_MQTT_PORT: 'a' }, 'HEADGATE_MQTT_PORT: mqtt.port is the text "a"'],
    [{ HEADGATE_MQTT_PORT: '[' }, 'HEADGATE_MQTT_PORT: '],
    [{ HEADGATE_LOG_RETENTION_MAX_BYTES: '1' }, 'HEADGATE_LOG_RETENTION_MAX_BYTES: log.retention'],
    [{ HEADGATE_FLASH_BUDGET_MB_PER_DAY: '-1' }, 'flash.budgetMBPerDay is -1'],
    [{ HEADGATE_FLASH_CARD_TBW: '0' }, 'HEADGATE_FLASH_CARD_TBW: flash.cardTBW is 0'],
    [{ HEADGATE_UPLINK_STREAMS: '[nope]' }, 'HEADGATE_UPLINK_STREAMS: uplink.streams names "nope"'],
    [{ HEADGATE_STREAMS: '{ m: { topics: [x] } }' }, 'HEADGATE_STREAMS: streams.m.topics[0] is'],
    [
      { HEADGATE_STREAMS: '{ m: { topic: x, topics: [<device>] } }' },
      'HEADGATE_STREAMS: there is no setting',
    ],
    [{ HEADGATE_MQTT_PROT: '1' }, 'there is no variable HEADGATE_MQTT_PROT'],
  ])('%j', (env, says) => {
    // The file's line would point at a value that is not the wrong one.
    const problem = problemOf('mqtt: { port: 1 }\nuplink: { streams: [] }', { env });
    expect(problem.message).toContain(says);
    expect(problem.line).toBeUndefined();
  });

  test('those of headgate-sink are none of ours', () => {
    const env = {
      HEADGATE_SINK_POSTGRES: 'postgres://sink@db/plants',
      HEADGATE_SINK_PASSWORD: 'x',
    };
    expect(loadConfig({ text: '', env }).ok).toBe(true);
  });

  test('an unknown variable gets a hint', () => {
    const env = { HEADGATE_MQTT_PROT: '1' };
    expect(problemOf('', { env }).mend).toBe('did you mean HEADGATE_MQTT_PORT?');
  });

  test('a port from the command line is checked, too', () => {
    const problem = problemOf('mqtt: { port: 1 }', { overrides: { port: 70_000 } });
    expect(problem.message).toContain('--port: mqtt.port is 70000');
    expect(problem.line).toBeUndefined();
  });
});
