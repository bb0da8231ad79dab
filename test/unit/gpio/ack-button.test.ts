import { afterEach, describe, expect, it, vi } from 'vitest';
import { type AckButton, openAckButton } from '../../../firmware-bridge/gpio/ack-button.ts';
import type { GpioParts } from '../../../firmware-bridge/gpio/backends.ts';
import { Debounce } from '../../../firmware-bridge/gpio/debounce.ts';
import { acknowledgeAll } from '../../../src/ack-by-button.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { loadConfig } from '../../../src/ops/load-config.ts';
import { systemPrograms } from '../../../src/os/programs.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { until } from '../../support/until.ts';
import { FakeHeader, fakeSysfs, PI4 } from './fake-gpio.ts';
import { FakeTools } from './fake-tools.ts';

describe('a button', () => {
  /** Edges as [ms, level]; answers when it was pressed, looking at every ms. */
  function presses(...edges: Array<[number, boolean]>): number[] {
    const debounce = new Debounce(30);
    const at: number[] = [];
    for (let ms = 0; ms < 1_000; ms += 1) {
      for (const [edgeMs, active] of edges) if (edgeMs === ms) debounce.edge(active, ms);
      if (debounce.isPressed(ms)) at.push(ms);
    }
    return at;
  }

  it.each<[string, Array<[number, boolean]>, number[]]>([
    ['held', [[10, true]], [40]],
    [
      'held and let go',
      [
        [10, true],
        [200, false],
      ],
      [40],
    ],
    [
      'pressed twice',
      [
        [10, true],
        [200, false],
        [400, true],
      ],
      [40, 430],
    ],
    [
      'that is told of twice',
      [
        [10, true],
        [35, true],
      ],
      [40],
    ],
    [
      'touched for less',
      [
        [10, true],
        [39, false],
      ],
      [],
    ],
    [
      'of contacts that chatter',
      [
        [10, true],
        [12, false],
        [15, true],
        [20, false],
        [22, true],
      ],
      [52],
    ],
    [
      'that chatters when it is let go',
      [
        [10, true],
        [99, false],
        [101, true],
        [105, false],
      ],
      [40],
    ],
    ['in a storm of noise', [...Array(90)].map((_, i) => [i * 10, i % 2 === 0]), []],
    ['stuck since the start, and let go', [[50, false]], []],
  ])('%s', (_, edges, expected) => {
    expect(presses(...edges)).toEqual(expected);
  });
});

const ends: Array<() => unknown> = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  vi.useRealTimers();
});

async function open(gpio: Record<string, unknown>, over: Partial<GpioParts>) {
  const loaded = loadConfig({ text: JSON.stringify({ gpio: { ackPin: 27, ...gpio } }), env: {} });
  if (!loaded.ok) throw new Error('not sound');
  const warned: unknown[] = [];
  let presses = 0;
  const logger = { ...silentLogger, warn: (fields: unknown) => void warned.push(fields) };
  const parts: GpioParts = {
    files: fakeSysfs(PI4),
    programs: systemPrograms({ PATH: '/nowhere' }),
    writeAttribute: () => {},
    clock: systemClock,
    load: async () => new FakeHeader().Gpio,
    logger,
    ...over,
  };
  const button = await openAckButton(loaded.config.gpio, parts, () => {
    presses += 1;
  });
  ends.push(() => button?.close());
  return { button: button as AckButton | undefined, warned, presses: () => presses };
}

it('a button that was let go of while nobody listened is heard when it is pressed again', () => {
  const debounce = new Debounce(30);
  debounce.edge(true, 0);
  expect(debounce.isPressed(30)).toBe(true);
  debounce.forget();
  debounce.edge(true, 500);
  expect(debounce.isPressed(530)).toBe(true);
});

describe('the button', () => {
  it('is heard through sysfs, once it has been held', async () => {
    vi.useFakeTimers();
    const header = new FakeHeader();
    const clock = new FakeClock();
    const { button, presses } = await open({}, { load: async () => header.Gpio, clock });
    expect([button?.name, header.number]).toEqual(['button 27 (sysfs 539)', 539]);
    const pass = (ms: number) => {
      clock.advance(ms);
      vi.advanceTimersByTime(ms);
    };
    // To ground, so low is pressed.
    header.edge(0);
    pass(29);
    expect(presses()).toBe(0);
    pass(1);
    expect(presses()).toBe(1);
    header.edge(1);
    pass(30);
    header.edge(0);
    pass(30);
    expect([presses(), vi.getTimerCount()]).toEqual([2, 0]);
  });

  it('lets go of its line, and hears nothing any more', async () => {
    vi.useFakeTimers();
    const header = new FakeHeader();
    const clock = new FakeClock();
    const { button, presses } = await open({}, { load: async () => header.Gpio, clock });
    header.edge(0);
    await button?.close();
    clock.advance(100);
    vi.advanceTimersByTime(100);
    expect([header.exported, presses(), vi.getTimerCount()]).toEqual([false, 0, 0]);
    ends.length = 0;
  });

  it.each([
    ['1.6.3', '0', '--line-buffered --format=%e --bias=pull-up --active-low gpiochip0 27'],
    ['2.2.1', '2', '--format=%e --bias=pull-up --active-low --chip gpiochip0 27'],
  ])('is heard by gpiomon %s, with a pull resistor', async (version, falling, words) => {
    const fake = new FakeTools(version);
    ends.push(() => fake.remove());
    fake.pipe('edges');
    const { button, presses } = await open({ ackDebounceMs: 5 }, { programs: fake.programs });
    expect(button?.name).toBe(`button 27 (gpiomon ${version[0]}, gpiochip0 line 27)`);
    const edges = await fake.openPipe('edges');
    ends.push(() => edges.close());
    await until('gpiomon runs', () => fake.read('monitors') !== '');
    expect(fake.read('monitors').trim()).toBe(words);
    await edges.write('1\n');
    await until('it is pressed', () => presses() === 1);
    await edges.write(`${falling}\n`);
    // As long as a release must last, by the clock that it is told by.
    const releasedMs = systemClock.monoMs();
    await until('it is let go', () => systemClock.monoMs() - releasedMs > 50);
    await edges.write('1\n');
    await until('it is pressed again', () => presses() === 2);
  });

  it('is not there where none is configured', async () => {
    const { button, warned } = await open({ ackPin: null }, {});
    expect([button, warned]).toEqual([undefined, []]);
  });

  it('that cannot be heard is said, and stops nothing', async () => {
    const { button, warned } = await open({}, { files: fakeSysfs({}) });
    const error = expect.stringMatching(/^gpiomon: .* not installed .*; onoff: no chip of /);
    expect(button).toBeUndefined();
    expect(warned).toMatchObject([{ code: 'GPIO_UNAVAILABLE', pin: 27, error }]);
  });

  it('says what it acknowledged, and when that could not be stored', async () => {
    const said: unknown[] = [];
    const say = (fields: unknown, message: string) => void said.push(fields, message);
    const logger = { ...silentLogger, info: say, error: say };
    const rows = [
      { alert: 'a', outcome: 'acknowledged' as const },
      { alert: 'b', outcome: 'not-stored' as const },
    ];
    await acknowledgeAll({ list: () => [], acknowledge: async () => rows }, logger);
    const failing = () => Promise.reject(new Error('disk'));
    await acknowledgeAll({ list: () => [], acknowledge: failing }, logger);
    expect(said).toEqual([
      { alerts: 1 },
      'acknowledged by the button',
      { code: 'Error', error: 'disk' },
      'what the button acknowledged could not be stored: press it again',
    ]);
  });
});
