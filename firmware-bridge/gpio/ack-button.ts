import { messageOf } from '../../src/base/errors.ts';
import { type GpioParts, heldLine, numberedLine } from './backends.ts';
import { Debounce } from './debounce.ts';
import type { GpioSettings } from './gpio-settings.ts';
import { monitorArgs } from './gpiod-tools.ts';
import { KeptProgram } from './kept-program.ts';
import { loadOnoff } from './onoff-line.ts';

/** A line that is listened to. */
interface InputLine {
  readonly name: string;
  close(): void | Promise<void>;
}

type OnLevel = (active: boolean) => void;

/** `onLost`: edges may have been missed. */
type Listen = (pin: number, onLevel: OnLevel, onLost: () => void) => Promise<InputLine>;

export interface AckButton {
  readonly name: string;
  close(): void | Promise<void>;
}

function found<T>(answer: T | string): T {
  if (typeof answer === 'string') throw new Error(answer);
  return answer;
}

/** By a process of libgpiod, which has the pull resistor of the line switched on as well. */
function byGpiomon({ chip, ackActiveLow: activeLow }: GpioSettings, parts: GpioParts): Listen {
  const { programs, clock, logger } = parts;
  return async (pin, onLevel, onLost) => {
    const held = found(await heldLine(programs, 'gpiomon', { chip, pin, activeLow }));
    const child = new KeptProgram({
      ...{ command: 'gpiomon', programs, clock, logger },
      lost: 'gpiomon has ended: the button is not heard until it is started again',
      onLine: (line) => onLevel(line.trim() === '1'),
      onLost,
    });
    child.run(monitorArgs(held.dialect, held.line));
    const name = `gpiomon ${held.dialect}, ${held.line.chip} line ${pin}`;
    return { name, close: () => child.stop() };
  };
}

/** By sysfs, which leaves the pull resistor as the firmware has set it. */
function byOnoff({ chip, ackActiveLow: activeLow }: GpioSettings, parts: GpioParts): Listen {
  return async (pin, onLevel) => {
    const { number } = found(await numberedLine(parts.files, chip, pin));
    const Gpio = await (parts.load ?? loadOnoff)();
    const gpio = new Gpio(number, 'in', 'both', { activeLow });
    gpio.watch((error, value) => {
      if (!error) onLevel(value === 1);
    });
    return { name: `sysfs ${number}`, close: () => gpio.unexport() };
  };
}

/** Calls `onPress` once each time that the button has been held for long enough. */
function debounced(
  { ackDebounceMs }: GpioSettings,
  { clock }: GpioParts,
  onPress: () => void,
): { readonly onLevel: OnLevel; readonly onLost: () => void; readonly stop: () => void } {
  const debounce = new Debounce(ackDebounceMs);
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    clearTimeout(timer);
    if (debounce.isPressed(clock.monoMs())) onPress();
    const { dueMs } = debounce;
    if (dueMs !== undefined) timer = setTimeout(look, Math.ceil(dueMs - clock.monoMs())).unref();
  };
  return {
    onLevel: (active) => {
      debounce.edge(active, clock.monoMs());
      look();
    },
    onLost: () => {
      clearTimeout(timer);
      debounce.forget();
    },
    stop: () => clearTimeout(timer),
  };
}

/**
 * The button that acknowledges. undefined: none is configured, or (which is logged) it can't be
 * listened to: alerts can be acknowledged in other ways.
 */
export async function openAckButton(
  settings: GpioSettings,
  parts: GpioParts,
  onPress: () => void,
): Promise<AckButton | undefined> {
  const { ackPin: pin, backend } = settings;
  if (pin === undefined) return undefined;
  const { onLevel, onLost, stop } = debounced(settings, parts, onPress);
  const ways: Array<readonly [name: string, listen: Listen]> = [];
  if (backend !== 'onoff') ways.push(['gpiomon', byGpiomon(settings, parts)]);
  if (backend !== 'gpioset') ways.push(['onoff', byOnoff(settings, parts)]);
  const reasons: string[] = [];
  for (const [way, listen] of ways) {
    try {
      const input = await listen(pin, onLevel, onLost);
      const close = () => {
        stop();
        return input.close();
      };
      parts.logger.info({ pin, by: input.name }, 'the button acknowledges all alerts');
      return { name: `button ${pin} (${input.name})`, close };
    } catch (error) {
      reasons.push(`${way}: ${messageOf(error)}`);
    }
  }
  const fields = { code: 'GPIO_UNAVAILABLE', pin, error: reasons.join('; ') };
  parts.logger.warn(fields, 'the button that acknowledges cannot be heard');
  return undefined;
}
