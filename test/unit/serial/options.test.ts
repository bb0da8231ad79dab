import { expect, test } from 'vitest';
import { bridgeSettings } from '../../../firmware-bridge/serial/options.ts';

const files: Readonly<Record<string, string>> = { '/run/password': 'secret\nnot this\n' };
const read = (path: string) => files[path] ?? '';
const settings = (args: string, env: NodeJS.ProcessEnv = {}) =>
  bridgeSettings(
    args.split(' ').filter((word) => word !== ''),
    env,
    read,
  );

test('what is not said is as the help has it', () => {
  expect(settings('--port /dev/ttyUSB0')).toMatchObject({
    ...{ path: '/dev/ttyUSB0', framing: 'json', baud: 115_200, parity: 'none', stopBits: 1 },
    ...{ rtscts: false, device: 'ttyUSB0', prefix: 'sensors', maxFrameBytes: 1_024, window: 64 },
    ...{ url: 'mqtt://127.0.0.1:1883', mqttVersion: 5, everyMs: 60_000, password: undefined },
  });
  expect(settings('--help')).toBeUndefined();
});

test('the environment says the same as the command line, which goes first', () => {
  const env = {
    ...{ HEADGATE_SERIAL_PORT: '/dev/ttyACM0', HEADGATE_SERIAL_FRAMING: 'cobs' },
    ...{ HEADGATE_SERIAL_BAUD: '921600', HEADGATE_SERIAL_MAX_FRAME: '300' },
    ...{ HEADGATE_SERIAL_RTSCTS: '1', HEADGATE_SERIAL_DEVICE: 'pump', HEADGATE_SERIAL_WINDOW: '' },
    ...{ HEADGATE_SERIAL_USERNAME: 'mcu', HEADGATE_SERIAL_PASSWORD_FILE: '/run/password' },
    ...{ HEADGATE_SERIAL_TOPIC_PREFIX: 'site/7/', HEADGATE_SERIAL_MQTT_VERSION: '4' },
  };
  expect(settings('--baud 57600', env)).toMatchObject({
    ...{ path: '/dev/ttyACM0', framing: 'cobs', baud: 57_600, maxFrameBytes: 300, rtscts: true },
    ...{ device: 'pump', window: 64, username: 'mcu', password: 'secret', prefix: 'site/7' },
    mqttVersion: 4,
  });
});

test.each([
  ['', '--port is missing'],
  ['--port /dev/x --framing slip', '--framing is one of json, cobs'],
  ['--port /dev/x --baud fast', '--baud is a whole number from 50 to 4000000'],
  ['--port /dev/x --max-frame 70000', '--max-frame is a whole number from 64 to 65535'],
  ['--port /dev/x --device a/b', '--device is one level of a topic'],
  ['--port /dev/x --topic-prefix a/#', '--topic-prefix is a topic without wildcards'],
  ['--port /dev/x --url http://a', '--url is no mqtt://'],
  ['--port /dev/x --url mqtt://', '--url is no mqtt://'],
  ['--port /dev/x --url mqtt://me:secret@a', '--url has a password in it'],
  ['--port /dev/x --mqtt-version 3', '--mqtt-version is one of 5, 4'],
  ['--port /dev/x --nonsense', "Unknown option '--nonsense'"],
  ['--port /dev/x stray', "Unexpected argument 'stray'"],
])('%s: %s', (args, message) => {
  expect(() => settings(args)).toThrow(message);
});

test('a flag of the environment is yes or no', () => {
  const env = { HEADGATE_SERIAL_RTSCTS: 'maybe' };
  expect(() => settings('--port /dev/x', env)).toThrow('HEADGATE_SERIAL_RTSCTS is 1 or 0');
});
