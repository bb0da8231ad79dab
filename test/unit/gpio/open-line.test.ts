import { describe, expect, it } from 'vitest';
import { sysfsNumber } from '../../../firmware-bridge/gpio/gpio-base.ts';
import { loadOnoff } from '../../../firmware-bridge/gpio/onoff-line.ts';
import { type LineOptions, openLine } from '../../../firmware-bridge/gpio/open-line.ts';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import { FakeHeader, fakeSysfs, PI4 } from './fake-gpio.ts';

describe('the sysfs number of a pin', () => {
  const expander = { label: 'raspberrypi-exp-gpio', base: '570', ngpio: '8' };
  it.each([
    ['Pi 4, kernel 6.6', PI4, 17, 529],
    ['Pi 4, the last line of its chip', PI4, 57, 569],
    ['Pi 4, a pin beyond it, which would be the expander', PI4, 58, undefined],
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
    ['a board that is no Pi', { gpiochip0: { label: 'INT33FF:00', base: '0' } }, 17, undefined],
    ['only an expander', { gpiochip570: expander }, 1, undefined],
    ['a base that is empty', { gpiochip0: { label: 'pinctrl-rp1', base: '' } }, 17, undefined],
    ['a base that is no number', { gpiochip0: { label: 'pinctrl-rp1', base: '-1' } }, 1, undefined],
    ['a chip without a base', { gpiochip0: { label: 'pinctrl-rp1' } }, 17, undefined],
    ['a line that is exported', { gpio17: { label: 'pinctrl-rp1', base: '0' } }, 17, undefined],
    ['no sysfs', {}, 17, undefined],
  ])('%s', async (_, chips, pin, expected) => {
    expect(await sysfsNumber(fakeSysfs(chips), '/sys/class/gpio', pin)).toBe(expected);
  });
});

describe('opening the alert line', () => {
  interface Said {
    readonly fields: Readonly<Record<string, unknown>>;
    readonly message: string;
  }

  async function open(options: Partial<LineOptions>) {
    const said: Said[] = [];
    const logger: Logger = {
      ...silentLogger,
      warn: (fields, message) => said.push({ fields, message }),
    };
    const line = await openLine({
      pin: 17,
      activeLow: false,
      files: fakeSysfs(PI4),
      load: async () => new FakeHeader().Gpio,
      ...options,
      logger,
    });
    return { line, said };
  }

  it('drives the pin where there is GPIO', async () => {
    const header = new FakeHeader();
    const { line, said } = await open({ activeLow: true, load: async () => header.Gpio });
    line.set(true);
    expect([line.name, header.number, header.wire]).toEqual(['gpio 17 (sysfs 529)', 529, [1, 0]]);
    expect(said).toEqual([]);
  });

  it('logs alerts when no pin is wanted, and has nothing to complain of', async () => {
    const { line, said } = await open({ pin: undefined });
    expect([line.name, said]).toEqual(['logged', []]);
  });

  const refused = new FakeHeader();
  refused.faults.set('export', 'EACCES');
  it.each<[string, Partial<LineOptions>, RegExp]>([
    ['there is no GPIO', { files: fakeSysfs({}) }, /no GPIO chip .* pin 17 in \/sys\/class\/gpio/],
    ['there is no such pin', { pin: 60 }, /pin 60/],
    ['sysfs may not be read', { files: fakeSysfs(PI4, 'EACCES') }, /EACCES/],
    ['the line may not be exported', { load: async () => refused.Gpio }, /EACCES/],
    [
      'onoff is not installed',
      { load: () => Promise.reject(new Error("Cannot find package 'onoff'")) },
      /Cannot find package 'onoff'/,
    ],
  ])('logs alerts and says why when %s', async (_, options, reason) => {
    const { line, said } = await open(options);
    expect(line.name).toBe('logged');
    expect(said).toMatchObject([
      { fields: { code: 'GPIO_UNAVAILABLE', error: expect.stringMatching(reason) } },
    ]);
    line.set(true);
    expect(said.at(-1)).toMatchObject({ fields: { active: true } });
  });

  it('finds in onoff what it drives lines with, or logs alerts where there is none', async () => {
    // Optional: where its native part could not be built, it is not installed.
    const onoff = await loadOnoff().catch((error: unknown) => error);
    if (typeof onoff === 'function') {
      for (const method of ['writeSync', 'unexport']) {
        expect(onoff.prototype).toHaveProperty(method, expect.any(Function));
      }
      return;
    }
    expect(onoff).toMatchObject({ code: 'ERR_MODULE_NOT_FOUND' });
    const { line, said } = await open({ load: loadOnoff });
    expect(line.name).toBe('logged');
    expect(said).toMatchObject([{ fields: { error: expect.stringContaining('onoff') } }]);
  });
});
