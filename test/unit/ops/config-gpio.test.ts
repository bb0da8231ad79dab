import { describe, expect, test } from 'vitest';
import { configOf, problemOf } from '../../support/config-loading.ts';

describe('the alert line', () => {
  test('is steady, active high and of no backend by default', () => {
    const steady = { kind: 'steady', onMs: 500, offMs: 500 };
    expect(configOf('').gpio).toEqual({
      backend: 'auto',
      pin: undefined,
      led: '',
      chip: '',
      activeLow: false,
      pattern: { info: steady, warning: steady, critical: steady },
      latch: false,
      ackPin: undefined,
      ackActiveLow: true,
      ackDebounceMs: 30,
    });
  });

  test('has a pattern of its own for each severity', () => {
    const text = 'gpio: { pin: 4, pattern: { critical: { kind: blink, onMs: 100 } } }';
    const { pattern } = configOf(text).gpio;
    expect(pattern.critical).toEqual({ kind: 'blink', onMs: 100, offMs: 500 });
    expect(pattern.info.kind).toBe('steady');
  });

  test.each(['ACT', 'input3::scrolllock', 'a led'])('may be the LED %s', (led) => {
    expect(configOf(`gpio: { led: ${JSON.stringify(led)} }`).gpio.led).toBe(led);
  });

  test.each([
    ['{ led: ../../etc }', 'gpio.led'],
    ['{ led: ".." }', 'gpio.led'],
    ['{ chip: /dev/mem }', 'gpio.chip'],
    ['{ pin: 512 }', 'gpio.pin'],
    ['{ backend: led }', 'gpio.backend'],
    ['{ backend: led, pin: 17 }', 'gpio.backend'],
    ['{ backend: onoff }', 'gpio.backend'],
    ['{ backend: gpioset, led: x }', 'gpio.backend'],
    ['{ pin: 17, ackPin: 17 }', 'gpio.ackPin'],
    ['{ pattern: { info: { onMs: 5 } } }', 'gpio.pattern.info.onMs'],
  ])('%s is a fault', (gpio, path) => {
    expect(problemOf(`gpio: ${gpio}`)).toMatchObject({ path, line: 1 });
  });

  test.each(['{ led: x, backend: led, pin: 17, ackPin: 17 }', '{ pin: 17, ackPin: 18 }'])(
    '%s is sound',
    (gpio) => {
      expect(configOf(`gpio: ${gpio}`).gpio.ackPin).toBeGreaterThan(16);
    },
  );
});
