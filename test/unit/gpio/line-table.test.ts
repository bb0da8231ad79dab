import { describe, expect, it } from 'vitest';
import { lineTable, parseInfo } from '../../../firmware-bridge/gpio/line-table.ts';
import type { Programs } from '../../../src/os/programs.ts';
import { configOf } from '../../support/config-loading.ts';
import { fakeSysfs, PI4 } from './fake-gpio.ts';

const INFO_1 = `gpiochip0 - 58 lines:
\tline   0:     "ID_SDA"       unused   input  active-high 
\tline  17:     "GPIO17"    "gpioset"  output  active-high [used]
\tline  18:      unnamed       kernel   input  active-high [used]
gpiochip1 - 8 lines:
\tline   0:      "BT_ON"       unused  output  active-high 
`;

const INFO_2 = `gpiochip0 - 58 lines:
\tline   0:\t"ID_SDA"        \tinput
\tline  17:\t"GPIO17"        \toutput consumer="gpioset"
\tline  18:\tunnamed         \tinput edges=both event-clock=monotonic consumer=kernel
gpiochip1 - 8 lines:
\tline   0:\t"BT_ON"         \toutput
`;

it.each([
  ['1', INFO_1],
  ['2', INFO_2],
])('what gpioinfo of libgpiod %s says', (_, output) => {
  expect([...parseInfo(output)]).toEqual([
    ['gpiochip0 0', { name: 'ID_SDA', user: null }],
    ['gpiochip0 17', { name: 'GPIO17', user: 'gpioset' }],
    ['gpiochip0 18', { name: null, user: 'kernel' }],
    ['gpiochip1 0', { name: 'BT_ON', user: null }],
  ]);
});

function tools(answers: Readonly<Record<string, string>>): Programs {
  return {
    ask: async (command) => {
      const output = answers[command];
      if (output === undefined) return { code: null, error: `spawn ${command} ENOENT`, output: '' };
      return { code: 0, error: '', output };
    },
    start: () => {
      throw new Error('a list starts nothing');
    },
  };
}

const DETECTED = `gpiochip0 [pinctrl-bcm2711] (58 lines)
gpiochip1 [raspberrypi-exp-gpio] (8 lines)
`;

describe('the lines of a machine', () => {
  const of = (gpio: object, chips: Parameters<typeof fakeSysfs>[0], answers = {}) =>
    lineTable(configOf(JSON.stringify({ gpio })).gpio, {
      files: fakeSysfs(chips),
      programs: tools(answers),
    });

  it('of a Raspberry Pi are those of its header, under each of their names', async () => {
    const gpio = { pin: 17, ackPin: 27 };
    const answers = { gpiodetect: DETECTED, gpioinfo: INFO_1 };
    const { chips, lines, notes } = await of(gpio, PI4, answers);
    expect([chips.length, lines.length, notes]).toEqual([2, 28, []]);
    expect(lines[17]).toEqual({
      pin: 17,
      header: 11,
      chip: 'gpiochip0',
      label: 'pinctrl-bcm2711',
      sysfs: 529,
      name: 'GPIO17',
      user: 'gpioset',
      use: 'alert line',
    });
    expect(lines[27]).toMatchObject({ header: 13, sysfs: 539, use: 'button' });
    expect(new Set(lines.map(({ header }) => header)).size).toBe(28);
  });

  it('are known by sysfs alone', async () => {
    const { lines, notes } = await of({}, PI4);
    expect(lines[4]).toMatchObject({ header: 7, chip: null, sysfs: 516, name: null, use: null });
    expect(notes).toEqual(['gpiodetect: spawn gpiodetect ENOENT']);
  });

  it('are known by libgpiod alone', async () => {
    const { lines, notes } = await of({}, {}, { gpiodetect: DETECTED, gpioinfo: INFO_2 });
    expect(lines[17]).toMatchObject({
      header: 11,
      chip: 'gpiochip0',
      sysfs: null,
      user: 'gpioset',
    });
    expect(notes).toEqual(['/sys/class/gpio has no chip']);
  });

  it('of another chip are all that it has', async () => {
    const gpio = { chip: 'raspberrypi-exp-gpio', pin: 2 };
    const { lines } = await of(gpio, PI4, { gpiodetect: DETECTED });
    expect(lines).toHaveLength(8);
    expect(lines[2]).toMatchObject({
      header: null,
      chip: 'gpiochip1',
      sysfs: 572,
      use: 'alert line',
    });
  });

  it('of a machine that is no Pi are those of every chip', async () => {
    const two = 'gpiochip0 [a] (2 lines)\ngpiochip1 [b] (1 lines)\n';
    const { lines } = await of({}, {}, { gpiodetect: two });
    expect(lines.map(({ chip, pin }) => `${chip} ${pin}`)).toEqual([
      'gpiochip0 0',
      'gpiochip0 1',
      'gpiochip1 0',
    ]);
  });

  it('are none, and it is said where that was looked for', async () => {
    expect(await of({ chip: 'x' }, {}, { gpiodetect: '' })).toEqual({
      chips: [],
      lines: [],
      leds: [],
      notes: ['/sys/class/gpio has no chip', 'gpiodetect finds no GPIO chip', 'there is no chip x'],
    });
  });
});
