import type { Gpio, GpioConstructor } from '../../../firmware-bridge/gpio/onoff-line.ts';
import type { Files } from '../../../src/os/files.ts';

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

/** What the kernel and onoff make of a line: its level on the wire, and who holds it. */
export class FakeHeader {
  /** Levels that the wire of the line has had, in order. */
  readonly wire: Array<0 | 1> = [];
  exported = false;
  number: number | undefined;
  /** Tells whoever watches the line of a level on the wire. */
  edge: (level: 0 | 1) => void = () => {};
  /** Failing calls, by their name. */
  readonly faults = new Map<'export' | 'write' | 'unexport', string>();

  readonly Gpio: GpioConstructor;

  constructor() {
    const header = this;
    this.Gpio = class implements Gpio {
      readonly #activeLow: boolean;

      constructor(
        number: number,
        direction: 'low' | 'high' | 'in',
        _edge: 'none' | 'both',
        options: { readonly activeLow: boolean },
      ) {
        header.#fail('export');
        header.exported = true;
        header.number = number;
        this.#activeLow = options.activeLow;
        if (direction !== 'in') header.wire.push(direction === 'high' ? 1 : 0);
      }

      watch(onEdge: (error: Error | null | undefined, value: number) => void): void {
        header.edge = (level) => onEdge(null, this.#activeLow ? 1 - level : level);
      }

      writeSync(value: 0 | 1): void {
        header.#fail('write');
        // What onoff would do: its descriptor is closed.
        if (!header.exported) throw systemError('EBADF');
        const level = this.#activeLow ? (value === 1 ? 0 : 1) : value;
        if (header.wire.at(-1) !== level) header.wire.push(level);
      }

      unexport(): void {
        header.#fail('unexport');
        if (!header.exported) throw systemError('EBADF');
        header.exported = false;
      }
    };
  }

  #fail(call: 'export' | 'write' | 'unexport'): void {
    const code = this.faults.get(call);
    if (code !== undefined) throw systemError(code);
  }
}

/**
 * /sys/class/gpio in memory: only what is read there. A chip's attributes by their paths below it:
 * `label`, `device/uevent`.
 */
export function fakeSysfs(
  chips: Readonly<Record<string, Readonly<Record<string, string>>>>,
  listError?: string,
): Files {
  const root = '/sys/class/gpio';
  const never = () => Promise.reject(new Error('nothing but the reading of sysfs is expected'));
  return {
    list: async (folder) => {
      if (listError !== undefined) throw systemError(listError);
      if (folder === root) return [...Object.keys(chips), 'export', 'unexport'].sort();
      const [chip = '', ...path] = folder.slice(root.length + 1).split('/');
      const below = `${path.join('/')}/`;
      const inside = Object.keys(chips[chip] ?? {}).filter((name) => name.startsWith(below));
      return inside.map((name) => name.slice(below.length).split('/', 1)[0] ?? '');
    },
    readText: async (path) => {
      const [chip = '', ...name] = path.slice(root.length + 1).split('/');
      return path.startsWith(`${root}/`) ? chips[chip]?.[name.join('/')] : undefined;
    },
    open: never,
    makeFolder: never,
    rename: never,
    remove: never,
    syncFolder: never,
    freeBytes: never,
    kindOf: async () => undefined,
  };
}

/** A Pi 4 with a 6.6 kernel, with an expander beside the header. */
export const PI4 = {
  gpiochip512: { label: 'pinctrl-bcm2711\n', base: '512\n', ngpio: '58\n' },
  gpiochip570: { label: 'raspberrypi-exp-gpio\n', base: '570\n', ngpio: '8\n' },
};

/** /sys/class/leds in memory, with the greatest brightness of each. */
export class FakeLeds {
  /** What was written, to any attribute. */
  readonly written: string[] = [];
  /** Failing writes, by the attribute's name. */
  readonly faults = new Map<string, string>();
  readonly #leds: Readonly<Record<string, number>>;

  constructor(leds: Readonly<Record<string, number>>) {
    this.#leds = leds;
  }

  get parts() {
    const files: Files = { ...fakeSysfs({}), readText: async (path) => this.#read(path) };
    return { files, writeAttribute: (path: string, text: string) => this.#write(path, text) };
  }

  #read(path: string): string | undefined {
    const [, led = '', name] = /^\/sys\/class\/leds\/([^/]+)\/(\w+)$/.exec(path) ?? [];
    if (!Object.hasOwn(this.#leds, led)) return undefined;
    return name === 'max_brightness' ? `${this.#leds[led]}\n` : '0\n';
  }

  #write(path: string, text: string): void {
    const [, led = '', name = ''] = /^\/sys\/class\/leds\/([^/]+)\/(\w+)$/.exec(path) ?? [];
    const code = Object.hasOwn(this.#leds, led) ? this.faults.get(name) : 'ENOENT';
    if (code !== undefined) throw systemError(code);
    this.written.push(text);
  }
}
