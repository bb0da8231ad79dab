import { afterEach, describe, expect, it } from 'vitest';
import { type GpioParts, numberedLine } from '../../../firmware-bridge/gpio/backends.ts';
import type { GpioSettings } from '../../../firmware-bridge/gpio/gpio-settings.ts';
import { loadOnoff } from '../../../firmware-bridge/gpio/onoff-line.ts';
import { openLine, openRealLine } from '../../../firmware-bridge/gpio/open-line.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import type { OutputLine } from '../../../src/base/output-line.ts';
import { loadConfig } from '../../../src/ops/load-config.ts';
import { type Programs, systemPrograms } from '../../../src/os/programs.ts';
import { FakeHeader, FakeLeds, fakeSysfs, PI4 } from './fake-gpio.ts';
import { FakeTools } from './fake-tools.ts';

describe('the sysfs number of a pin', () => {
  const expander = { label: 'raspberrypi-exp-gpio', base: '570', ngpio: '8' };
  const none = "no chip of a Raspberry Pi's header in /sys/class/gpio";
  it.each([
    ['Pi 4, kernel 6.6', PI4, 17, 529],
    ['Pi 4, the last line of its chip', PI4, 57, 569],
    ['Pi 4, a pin beyond it', PI4, 58, 'pinctrl-bcm2711 has 58 lines, and no line 58'],
    ['Pi 3, old kernel', { gpiochip0: { label: 'pinctrl-bcm2835\n', base: '0\n' } }, 17, 17],
    [
      'Pi 5, other chips first',
      {
        gpiochip512: { label: 'gpio-brcmstb@107d508500', base: '512', ngpio: '32' },
        gpiochip571: { label: 'pinctrl-rp1', base: '571', ngpio: '54' },
      },
      17,
      588,
    ],
    ['a board that is no Pi', { gpiochip0: { label: 'INT33FF:00', base: '0' } }, 17, none],
    ['only an expander', { gpiochip570: expander }, 1, none],
    ['a base that is empty', { gpiochip0: { label: 'pinctrl-rp1', base: '' } }, 17, none],
    ['a base that is no number', { gpiochip0: { label: 'pinctrl-rp1', base: '-1' } }, 1, none],
    ['a chip without a base', { gpiochip0: { label: 'pinctrl-rp1' } }, 17, none],
    ['a line that is exported', { gpio17: { label: 'pinctrl-rp1', base: '0' } }, 17, none],
    ['no sysfs', {}, 17, none],
  ])('%s', async (_, chips, pin, expected) => {
    const found = await numberedLine(fakeSysfs(chips), '', pin);
    expect(typeof found === 'string' ? found : found.number).toBe(expected);
  });

  const sim = { label: 'gpio-sim.0-node0', base: '600', ngpio: '16' };
  it.each([
    ['its label', 'gpio-sim.0-node0', { ...sim }, 605],
    ['the name of its device', 'gpiochip3', { ...sim, 'device/gpiochip3/dev': '254:3' }, 605],
    [
      'the name of a device without a parent',
      'gpiochip3',
      { ...sim, 'device/uevent': 'MAJOR=254\nDEVNAME=gpiochip3\n' },
      605,
    ],
    [
      'a name that sysfs does not tell',
      'gpiochip3',
      { ...sim },
      'no chip gpiochip3 in /sys/class/gpio',
    ],
    [
      'a name that may be of two chips',
      'gpiochip3',
      { ...sim, 'device/gpiochip3/dev': '254:3', 'device/gpiochip4/dev': '254:4' },
      'no chip gpiochip3 in /sys/class/gpio',
    ],
    [
      'its name in sysfs, which is no name',
      'gpiochip600',
      { ...sim },
      'no chip gpiochip600 in /sys/class/gpio',
    ],
  ])('of another chip, by %s', async (_, wanted, attributes, expected) => {
    const found = await numberedLine(fakeSysfs({ ...PI4, gpiochip600: attributes }), wanted, 5);
    expect(typeof found === 'string' ? found : found.number).toBe(expected);
  });
});

const ends: Array<() => unknown> = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** As if no tool of libgpiod were installed. */
const NO_TOOLS: Programs = systemPrograms({ PATH: '/nowhere' });

function settingsOf(gpio: Record<string, unknown>): GpioSettings {
  const loaded = loadConfig({ text: JSON.stringify({ gpio }), env: {} });
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join());
  return loaded.config.gpio;
}

function tools(version = '1.6.3'): FakeTools {
  const fake = new FakeTools(version);
  ends.push(() => fake.remove());
  return fake;
}

function kept(line: OutputLine): OutputLine {
  ends.push(() => line.close());
  return line;
}

describe('opening the alert line', () => {
  interface Said {
    readonly fields: Readonly<Record<string, unknown>>;
    readonly message: string;
  }

  async function open(gpio: Record<string, unknown>, over: Partial<GpioParts> = {}) {
    const warned: Said[] = [];
    const told: Said[] = [];
    const logger: Logger = {
      ...silentLogger,
      info: (fields, message) => told.push({ fields, message }),
      warn: (fields, message) => warned.push({ fields, message }),
    };
    const parts: GpioParts = {
      files: fakeSysfs(PI4),
      programs: NO_TOOLS,
      writeAttribute: new FakeLeds({}).parts.writeAttribute,
      clock: systemClock,
      load: async () => new FakeHeader().Gpio,
      ...over,
      logger,
    };
    return { line: kept(await openLine(settingsOf(gpio), parts)), warned, told };
  }

  it('drives the pin where there is GPIO', async () => {
    const header = new FakeHeader();
    const load = async () => header.Gpio;
    const { line, warned, told } = await open({ pin: 17, activeLow: true }, { load });
    line.set(true);
    expect([line.name, header.number, header.wire]).toEqual(['gpio 17 (sysfs 529)', 529, [1, 0]]);
    expect(warned).toEqual([]);
    expect(told).toEqual([
      {
        fields: { line: 'gpio 17 (sysfs 529)' },
        message: 'the alert line is gpio 17 by onoff: pinctrl-bcm2711, sysfs 529',
      },
    ]);
  });

  it.each([
    ['1.6.3', 'gpio 17 (gpioset 1, gpiochip0 line 17)'],
    ['2.2.1', 'gpio 17 (gpioset 2, gpiochip0 line 17)'],
  ])('is by gpioset %s where sysfs has no GPIO, and says why', async (version, name) => {
    const over = { files: fakeSysfs({}), programs: tools(version).programs };
    const { line, warned, told } = await open({ pin: 17 }, over);
    expect([line.name, warned]).toEqual([name, []]);
    const reason = "onoff: no chip of a Raspberry Pi's header in /sys/class/gpio";
    expect(told).toMatchObject([{ fields: { passedOver: [reason] } }]);
  });

  it('is by gpioset where onoff is not allowed to drive the line', async () => {
    const refused = new FakeHeader();
    refused.faults.set('export', 'EACCES');
    const over = { load: async () => refused.Gpio, programs: tools().programs };
    const { line, told } = await open({ pin: 17 }, over);
    expect(line.name).toContain('gpioset 1');
    const passedOver = [expect.stringMatching(/^onoff: EACCES/)];
    expect(told).toMatchObject([{ fields: { passedOver } }]);
  });

  it('is the LED that is named, before any pin', async () => {
    const leds = new FakeLeds({ alert: 255 });
    const { line } = await open({ led: 'alert', pin: 17 }, leds.parts);
    expect(line.name).toBe('led alert');
  });

  it('is by what is named, and by nothing else', async () => {
    const over = { programs: tools().programs };
    expect((await open({ pin: 17, backend: 'gpioset' }, over)).line.name).toContain('gpioset 1');
    const { line, warned } = await open(
      { pin: 17, backend: 'onoff' },
      { ...over, files: fakeSysfs({}) },
    );
    expect([line.name, warned]).toMatchObject([
      'logged',
      [{ fields: { code: 'GPIO_UNAVAILABLE' } }],
    ]);
  });

  it('is on a chip that is named', async () => {
    const fake = tools('2.2.1');
    fake.write('chips', 'gpiochip0 [gpio-sim.0-node0] (16 lines)\ngpiochip1 [other] (1 lines)\n');
    const over = { files: fakeSysfs({}), programs: fake.programs };
    const { line } = await open({ pin: 3, chip: 'gpio-sim.0-node0' }, over);
    expect(line.name).toBe('gpio-sim.0-node0 line 3 (gpioset 2, gpiochip0 line 3)');
    const beyond = await open({ pin: 16, chip: 'gpio-sim.0-node0' }, over);
    expect(beyond.warned[0]?.fields['error']).toContain('has 16 lines, and no line 16');
  });

  it.each([{}, { pin: 17, backend: 'logged' }])(
    'logs alerts when no line is wanted, and has nothing to complain of: %j',
    async (gpio) => {
      const { line, warned, told } = await open(gpio);
      expect([line.name, warned, told]).toEqual(['logged', [], []]);
    },
  );

  const refused = new FakeHeader();
  refused.faults.set('export', 'EACCES');
  it.each<[string, Record<string, unknown>, Partial<GpioParts>, RegExp]>([
    ['there is no GPIO', {}, { files: fakeSysfs({}) }, /no chip of .* in \/sys\/class\/gpio/],
    ['there are no tools', {}, { files: fakeSysfs({}) }, /gpioset is not installed .*gpiod/],
    ['there is no such pin', { pin: 60 }, {}, /no line 60/],
    ['sysfs may not be read', {}, { files: fakeSysfs(PI4, 'EACCES') }, /EACCES/],
    ['the line may not be exported', {}, { load: async () => refused.Gpio }, /EACCES/],
    ['there is no such LED', { led: 'alert' }, {}, /no LED alert in \/sys\/class\/leds/],
    [
      'onoff is not installed',
      {},
      { load: () => Promise.reject(new Error("Cannot find package 'onoff'")) },
      /Cannot find package 'onoff'/,
    ],
  ])('logs alerts and says why when %s', async (_, gpio, over, reason) => {
    const { line, warned } = await open({ pin: 17, ...gpio }, over);
    expect(line.name).toBe('logged');
    expect(warned).toMatchObject([
      { fields: { code: 'GPIO_UNAVAILABLE', error: expect.stringMatching(reason) } },
    ]);
    line.set(true);
    expect(warned.at(-1)).toMatchObject({ fields: { active: true } });
  });

  it('is refused to who asks to see it, where there is none', async () => {
    const parts: GpioParts = {
      ...{ files: fakeSysfs({}), programs: NO_TOOLS, clock: systemClock, logger: silentLogger },
      writeAttribute: () => {},
    };
    const opened = (gpio: Record<string, unknown>) => openRealLine(settingsOf(gpio), parts);
    await expect(opened({})).rejects.toThrow('GPIO_UNAVAILABLE: no line is configured');
    await expect(opened({ pin: 1 })).rejects.toThrow(/GPIO_UNAVAILABLE: onoff: .*; gpioset: /);
  });

  it('finds in onoff what it drives lines with, or logs alerts where there is none', async () => {
    // Optional: where its native part could not be built, one of the two is not installed.
    const onoff = await loadOnoff().catch((error: unknown) => error);
    if (typeof onoff === 'function') {
      for (const method of ['writeSync', 'watch', 'unexport']) {
        expect(onoff.prototype).toHaveProperty(method, expect.any(Function));
      }
      return;
    }
    expect(String(onoff)).toMatch(/Cannot find package 'onoff'|Could not locate the bindings file/);
    const { line, warned } = await open({ pin: 17 }, { load: loadOnoff });
    expect(line.name).toBe('logged');
    expect(warned).toMatchObject([{ fields: { error: expect.stringContaining('onoff') } }]);
  });
});
