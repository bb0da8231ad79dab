import { describe, expect, it } from 'vitest';
import type { GpioParts } from '../../../firmware-bridge/gpio/backends.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { dataCheck, levelCheck, nodeCheck, onoffCheck } from '../../../src/ops/doctor.ts';
import { gpioChecks } from '../../../src/ops/doctor-gpio.ts';
import type { Files } from '../../../src/os/files.ts';
import { installation } from '../../../src/os/native-parts.ts';
import type { Programs } from '../../../src/os/programs.ts';
import { configOf } from '../../support/config-loading.ts';
import { FakeHeader, FakeLeds, fakeSysfs, PI4 } from '../gpio/fake-gpio.ts';

/** Programs that say what is given by their names; others are not there. */
function programs(answers: Readonly<Record<string, string>>): Programs {
  return {
    ask: async (command) => {
      const output = answers[command];
      if (output === undefined) return { code: null, error: 'ENOENT', output: '' };
      return { code: 0, error: '', output };
    },
    start: () => {
      throw new Error('a doctor starts nothing that goes on');
    },
  };
}

const BUILDERS = { python3: 'Python 3', make: 'GNU Make', 'g++': 'g++' };
const INSTALLED = { root: '/opt/headgate', versions: { onoff: '6.0.3', 'classic-level': '3.0.0' } };
const failing = (code: string, message: string) => () =>
  Promise.reject(Object.assign(new Error(message), { code }));

it.each([
  ['20.19.0', 'ok'],
  ['22.1.0', 'ok'],
  ['20.18.9', 'fail'],
  ['18.20.4', 'fail'],
])('Node %s is %s', (version, state) => {
  expect(nodeCheck(version, '115')).toMatchObject({ check: 'node', state });
});

describe('the data folder', () => {
  const ask = (there: readonly string[], bars: Record<string, string>, free = 1e9) => {
    const files: Files = {
      ...fakeSysfs({}),
      kindOf: async (path) => (there.includes(path) ? 'folder' : undefined),
      freeBytes: async () => free,
    };
    const writeBar = async (path: string) => bars[path];
    return dataCheck({ root: '/a/b/c', minFreeBytes: 5e8, user: 'pi', files, writeBar });
  };

  it('may be written to', async () => {
    const says = '/a/b/c may be written to by pi, 1000 MB free';
    expect(await ask(['/', '/a/b/c'], {})).toEqual({ check: 'data', state: 'ok', says });
  });

  it('may be made where it is to be', async () => {
    expect(await ask(['/', '/a'], {})).toMatchObject({ state: 'ok' });
  });

  it.each([
    ['/a/b/c', 'EACCES', 'sudo chown -R pi /a/b/c'],
    ['/a', 'EACCES', 'sudo install -d -o pi /a/b/c'],
    ['/a', 'EROFS', 'sudo mount -o remount,rw /a'],
  ])('is refused where %s is (%s)', async (folder, code, mend) => {
    const check = await ask(['/', folder], { [folder]: code });
    expect(check).toMatchObject({ state: 'fail', says: expect.stringContaining(code), mend });
  });

  it('is nearly full', async () => {
    expect(await ask(['/a/b/c'], {}, 4e8)).toMatchObject({ state: 'warn' });
  });
});

describe('native parts', () => {
  const there = { installed: INSTALLED, programs: programs(BUILDERS), load: async () => {} };

  it('that are there', async () => {
    expect(await levelCheck(there)).toMatchObject({ check: 'classic-level', state: 'ok' });
    expect(await onoffCheck(there)).toMatchObject({ check: 'onoff', state: 'ok' });
  });

  it.each([
    ['ERR_MODULE_NOT_FOUND', 'onoff is not installed', 'install --no-save onoff@6.0.3'],
    ['', 'epoll, its native part, is not built', 'rebuild epoll'],
    ['ERR_DLOPEN_FAILED', 'epoll, its native part, is not built', 'rebuild epoll'],
  ])('onoff that fails with "%s"', async (code, says, mend) => {
    expect(await onoffCheck({ ...there, load: failing(code, 'x') })).toEqual({
      check: 'onoff',
      state: 'warn',
      says: `${says}, so no line can be driven by sysfs`,
      mend: `npm --prefix /opt/headgate ${mend}`,
    });
  });

  it('need what builds them first', async () => {
    const question = { ...there, programs: programs({ make: 'GNU Make' }), load: failing('', 'x') };
    expect((await onoffCheck(question)).mend).toBe(
      'sudo apt-get install -y python3 g++ && npm --prefix /opt/headgate rebuild epoll',
    );
  });

  it('are not missed in a package that has no npm', async () => {
    const question = { ...there, installed: undefined, load: failing('', 'x') };
    expect(await onoffCheck(question)).toMatchObject({ state: 'ok' });
    expect(await levelCheck(question)).toMatchObject({ state: 'fail' });
  });

  it('of the state store are fetched again', async () => {
    const load = failing('', 'No native build was found\nfor this');
    expect(await levelCheck({ ...there, load })).toEqual({
      check: 'classic-level',
      state: 'fail',
      says: 'the state store cannot be opened: No native build was found',
      mend:
        'rm -rf /opt/headgate/node_modules/classic-level && ' +
        'npm --prefix /opt/headgate install --no-save classic-level@3.0.0',
    });
  });

  it('are looked for where the program is installed', async () => {
    const at = (there: Record<string, string>, from: string) =>
      installation(
        {
          ...fakeSysfs({}),
          readText: async (path) => there[path],
          kindOf: async (path) => (there[path] === undefined ? undefined : 'folder'),
        },
        from,
      );
    const text = JSON.stringify({ name: 'headgate', optionalDependencies: { onoff: '6.0.3' } });
    const own = { '/opt/h/package.json': text, '/opt/h/node_modules': '' };
    expect(await at(own, '/opt/h/dist/src/os')).toEqual({
      root: '/opt/h',
      versions: { onoff: '6.0.3' },
    });
    expect(await at({ '/opt/h/package.json': text }, '/opt/h/dist')).toBeUndefined();
    expect(await at({ '/opt/package.json': '{"name":"x"}' }, '/opt/h/dist')).toBeUndefined();
    expect(await at({}, '/opt/h/dist')).toBeUndefined();
  });
});

describe('the alert line', () => {
  const TOOLS = {
    gpioset: 'gpioset (libgpiod) v2.2.1\n',
    gpiodetect: 'gpiochip0 [pinctrl-bcm2711] (58 lines)\n',
  };

  function ask(gpio: object, over: Partial<GpioParts> = {}, bars: Record<string, string> = {}) {
    const parts: GpioParts = {
      files: fakeSysfs(PI4),
      programs: programs(TOOLS),
      writeAttribute: () => {
        throw new Error('a doctor writes nothing');
      },
      clock: systemClock,
      logger: silentLogger,
      load: async () => new FakeHeader().Gpio,
      ...over,
    };
    const settings = configOf(JSON.stringify({ gpio })).gpio;
    const writeBar = async (path: string) => bars[path];
    const onoffMend = 'npm rebuild epoll';
    return gpioChecks({ settings, parts, writeBar, user: 'pi', onoffMend });
  }

  const SYSFS = '/sys/class/gpio/export';

  it('is driven by what is named, with the reason', async () => {
    expect(await ask({ pin: 17 })).toEqual([
      {
        check: 'gpio',
        state: 'ok',
        says: 'gpio 17 by onoff: pinctrl-bcm2711, sysfs 529',
      },
      { check: 'gpio rights', state: 'ok', says: `pi may write to ${SYSFS}` },
    ]);
  });

  it('is driven by gpioset where sysfs is not allowed', async () => {
    expect(await ask({ pin: 17 }, {}, { [SYSFS]: 'EACCES' })).toMatchObject([
      {
        state: 'ok',
        says:
          'gpio 17 by gpioset of libgpiod 2: pinctrl-bcm2711, gpiochip0 line 17; ' +
          `not by onoff: pi may not write to ${SYSFS} (EACCES)`,
      },
      { state: 'ok', says: 'pi may write to /dev/gpiochip0' },
    ]);
  });

  it('may not be driven', async () => {
    const bars = { [SYSFS]: 'EACCES', '/dev/gpiochip0': 'EACCES' };
    expect(await ask({ pin: 17 }, {}, bars)).toMatchObject([
      { check: 'gpio', state: 'ok' },
      { check: 'gpio rights', state: 'fail', mend: 'sudo usermod -aG gpio pi' },
    ]);
  });

  it('cannot be driven', async () => {
    const over = { files: fakeSysfs({}), programs: programs({}) };
    expect(await ask({ pin: 17 }, over)).toMatchObject([
      {
        check: 'gpio',
        state: 'fail',
        says: expect.stringMatching(/^the line cannot be driven.* by onoff: .* by gpioset: /),
        mend: 'sudo apt-get install -y gpiod',
      },
    ]);
    const load = failing('', 'no bindings');
    const unbuilt = await ask({ pin: 17, backend: 'onoff' }, { load });
    expect(unbuilt).toMatchObject([{ state: 'fail', mend: 'npm rebuild epoll' }]);
    const only = await ask({ pin: 99 });
    expect(only).toMatchObject([{ state: 'fail', mend: 'headgate gpio list' }]);
  });

  it('is an LED that may not be written to', async () => {
    const { files } = new FakeLeds({ alert: 1 }).parts;
    const path = '/sys/class/leds/alert/brightness';
    const mend = `sudo chgrp gpio ${path} /sys/class/leds/alert/trigger && sudo chmod g+w`;
    expect(await ask({ led: 'alert' }, { files }, { [path]: 'EACCES' })).toMatchObject([
      { state: 'ok' },
      { state: 'fail', mend: expect.stringContaining(mend) },
    ]);
  });

  it.each([[{}], [{ pin: 17, backend: 'logged' }]])('is none: %j', async (gpio) => {
    expect(await ask(gpio)).toMatchObject([{ check: 'gpio', state: 'ok' }]);
  });
});
