import { afterEach, describe, expect, it } from 'vitest';
import type { Dialect } from '../../../firmware-bridge/gpio/gpiod-tools.ts';
import { GpiosetLine } from '../../../firmware-bridge/gpio/gpioset-line.ts';
import { LedLine } from '../../../firmware-bridge/gpio/led-line.ts';
import { LoggedLine } from '../../../firmware-bridge/gpio/logged-line.ts';
import { OnoffLine } from '../../../firmware-bridge/gpio/onoff-line.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { type Logger, silentLogger } from '../../../src/base/logger.ts';
import { until } from '../../support/until.ts';
import { FakeHeader, FakeLeds } from './fake-gpio.ts';
import { FakeTools } from './fake-tools.ts';
import { describeOutputLine } from './output-line-contract.ts';

describeOutputLine('logged', () => {
  const changes: boolean[] = [];
  const warn = (fields: Readonly<Record<string, unknown>>) => {
    changes.push(fields['active'] === true);
  };
  return { line: new LoggedLine({ ...silentLogger, warn }), changes: () => changes };
});

const LINE = { called: 'gpio 17', number: 529 };
const SENSES = [false, true];
const sense = (activeLow: boolean) => `active ${activeLow ? 'low' : 'high'}`;

for (const activeLow of SENSES) {
  describeOutputLine(`onoff, ${sense(activeLow)}`, () => {
    const header = new FakeHeader();
    const line = new OnoffLine(header.Gpio, { ...LINE, activeLow });
    // The first level is the one that the line was opened with.
    const [first, ...later] = header.wire;
    expect([first, later]).toEqual([activeLow ? 1 : 0, []]);
    const active = activeLow ? 0 : 1;
    return { line, changes: () => header.wire.slice(1).map((level) => level === active) };
  });

  describeOutputLine(`led, ${sense(activeLow)}`, async () => {
    const leds = new FakeLeds({ alert: 255 });
    const line = await LedLine.open({ led: 'alert', activeLow, ...leds.parts });
    const [trigger, first, ...later] = leds.written;
    expect([trigger, first, later]).toEqual(['none', activeLow ? '255' : '0', []]);
    const active = activeLow ? '0' : '255';
    return { line, changes: () => leds.written.slice(2).map((level) => level === active) };
  });
}

const tools: FakeTools[] = [];
afterEach(() => {
  for (const one of tools.splice(0)) one.remove();
});

async function gpioset(version: string, activeLow = false, logger: Logger = silentLogger) {
  const fake = new FakeTools(version);
  tools.push(fake);
  const dialect: Dialect = version.startsWith('1') ? 1 : 2;
  const { programs } = fake;
  const line = await GpiosetLine.open({
    line: { chip: 'gpiochip0', offset: 17, activeLow },
    ...{ called: 'gpio 17', dialect, programs, clock: systemClock, logger },
  });
  return { line, fake, changes: () => fake.changes() };
}

for (const version of ['1.6.3', '2.2.1']) {
  describeOutputLine(`gpioset ${version}`, () => gpioset(version));

  describe(`a line held by gpioset ${version}`, () => {
    it('is told which way round it is, and not to let go', async () => {
      const { line, fake } = await gpioset(version, true);
      line.set(true);
      await until('it is active', () => fake.levels.at(-1) === '1 17=1');
      await line.close();
      expect(fake.levels.at(-1)).toBe('1 17=0');
    });

    it('is driven again at once when its process dies', async () => {
      const said: Array<Readonly<Record<string, unknown>>> = [];
      const logger: Logger = { ...silentLogger, error: (fields) => said.push(fields) };
      const { line, fake } = await gpioset(version, false, logger);
      line.set(true);
      await until('it is active', () => fake.levels.at(-1) === '0 17=1');
      const [before, dead] = [fake.levels.length, fake.holder];
      process.kill(dead, 'SIGKILL');
      await until('another one holds it', () => fake.levels.length > before);
      expect(fake.levels.slice(before)).toEqual(['0 17=1']);
      expect(said).toMatchObject([{ code: 'GPIO_UNAVAILABLE', program: 'gpioset', exit: null }]);
      await line.close();
    });

    it('is not had at all if it cannot be driven from the start', async () => {
      const fake = new FakeTools(version);
      tools.push(fake);
      fake.write('refuse', 'Permission denied');
      const opening = GpiosetLine.open({
        line: { chip: 'gpiochip0', offset: 17, activeLow: false },
        ...{ called: 'gpio 17', dialect: version.startsWith('1') ? 1 : 2, clock: systemClock },
        ...{ programs: fake.programs, logger: silentLogger },
      });
      await expect(opening).rejects.toThrow('gpioset: Permission denied');
    });

    it('is had once the one who holds it has ended', async () => {
      const { line, fake } = await gpioset(version);
      await until('somebody holds it', () => fake.levels.length === 2);
      const more = { called: 'gpio 17', clock: systemClock, logger: silentLogger };
      const dialect = version.startsWith('1') ? 1 : 2;
      let isOpen = false;
      const second = GpiosetLine.open({
        line: { chip: 'gpiochip0', offset: 17, activeLow: false },
        ...{ ...more, dialect, programs: fake.programs },
      }).then((opened) => {
        isOpen = true;
        return opened;
      });
      await until('it was refused', () => fake.read('busy') !== '');
      expect(isOpen).toBe(false);
      await line.close();
      await (await second).close();
    });

    it('has nobody left who holds it once it is closed', async () => {
      const { line, fake } = await gpioset(version);
      await until('somebody holds it', () => fake.levels.length === 2);
      const { holder } = fake;
      await line.close();
      expect(() => process.kill(holder, 0)).toThrow('ESRCH');
    });
  });
}

describe('a line driven by onoff', () => {
  const open = (header: FakeHeader) => new OnoffLine(header.Gpio, { ...LINE, activeLow: false });

  it('is named by its pin and its number', () => {
    expect(open(new FakeHeader()).name).toBe('gpio 17 (sysfs 529)');
  });

  it('is let go of when it is closed', () => {
    const header = new FakeHeader();
    const line = open(header);
    expect(header.exported).toBe(true);
    line.close();
    expect(header.exported).toBe(false);
  });

  it('is let go of even if it cannot be driven any more', () => {
    const header = new FakeHeader();
    const line = open(header);
    line.set(true);
    header.faults.set('write', 'EIO');
    expect(() => line.close()).toThrow('EIO');
    expect(header.exported).toBe(false);
  });

  it('says that it could not be driven, and is driven by the next call', () => {
    const header = new FakeHeader();
    const line = open(header);
    header.faults.set('write', 'EIO');
    expect(() => line.set(true)).toThrow('EIO');
    header.faults.clear();
    line.set(true);
    expect(header.wire).toEqual([0, 1]);
  });

  it('is not had at all if it cannot be driven from the start', () => {
    const header = new FakeHeader();
    header.faults.set('write', 'EPERM');
    expect(() => open(header)).toThrow('EPERM');
    expect(header.exported).toBe(false);
  });
});

describe('a line that is an LED', () => {
  const open = (leds: FakeLeds, led = 'alert') =>
    LedLine.open({ led, activeLow: false, ...leds.parts });

  it('is as bright as it can be', async () => {
    const leds = new FakeLeds({ alert: 1 });
    (await open(leds)).set(true);
    expect(leds.written).toEqual(['none', '0', '1']);
  });

  it('needs no triggers in the kernel', async () => {
    const leds = new FakeLeds({ alert: 255 });
    leds.faults.set('trigger', 'ENOENT');
    (await open(leds)).set(true);
    expect(leds.written).toEqual(['0', '255']);
  });

  it('is not had if it is not there, or may not be written to', async () => {
    await expect(open(new FakeLeds({ alert: 255 }), 'other')).rejects.toThrow('no LED other');
    const leds = new FakeLeds({ alert: 255 });
    leds.faults.set('trigger', 'EACCES');
    await expect(open(leds)).rejects.toThrow('EACCES');
  });

  it('says that it could not be driven, and is driven by the next call', async () => {
    const leds = new FakeLeds({ alert: 255 });
    const line = await open(leds);
    leds.faults.set('brightness', 'ENODEV');
    expect(() => line.set(true)).toThrow('ENODEV');
    leds.faults.clear();
    line.set(true);
    expect(leds.written.at(-1)).toBe('255');
  });
});
