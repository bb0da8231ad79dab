import type { BitSlab } from './bit-slab.ts';
import { BootWindow } from './boot-window.ts';
import type { Fingerprint } from './fingerprint.ts';
import type { NumberRange } from './gap-list.ts';

/**
 * Boots remembered per device: a device may still send what it kept from before its last reboot.
 */
export const MAX_BOOTS = 4;

/** A topic of a device, and what ids on it are continued from. */
export interface Place {
  readonly topic: string;
  readonly print: Fingerprint;
}

/** What dedup keeps of one device. */
export class DeviceState {
  readonly name: string;
  /** Stands for the device in rings of ids; never another's. */
  readonly number: number;
  /** Ids of it that became durable, all in all. */
  ids = 0;
  /** Claims of it, on numbers and on ids. */
  inFlight = 0;
  /** It is not what is stored of it. */
  isChanged = false;
  /** Where it was heard last: most devices have one topic. */
  place: Place | undefined;
  #newest: BootWindow | undefined;
  #boots = 0;

  constructor(name: string, number: number) {
    this.name = name;
    this.number = number;
  }

  get boots(): number {
    return this.#boots;
  }

  /** The newest first. */
  *windows(): Generator<BootWindow> {
    for (let window = this.#newest; window !== undefined; window = window.older) yield window;
  }

  window(boot: string): BootWindow | undefined {
    let window = this.#newest;
    while (window !== undefined && window.boot !== boot) window = window.older;
    return window;
  }

  add(window: BootWindow): void {
    window.older = this.#newest;
    this.#newest = window;
    this.#boots += 1;
  }

  /**
   * The oldest goes that has no claims in flight: how many of those there can be is bounded by what
   * the log lets in. False: there is none.
   */
  dropOldest(): boolean {
    let oldest: BootWindow | undefined;
    for (const window of this.windows()) if (!window.isInFlight) oldest = window;
    if (oldest === undefined) return false;
    this.drop(oldest);
    return true;
  }

  drop(dropped: BootWindow): void {
    let before: BootWindow | undefined;
    for (const window of this.windows()) if (window.older === dropped) before = window;
    if (before === undefined) this.#newest = dropped.older;
    else before.older = dropped.older;
    dropped.end();
    this.#boots -= 1;
  }

  /** Gives back what its windows took. */
  end(): void {
    for (const window of [...this.windows()]) this.drop(window);
  }
}

/** Boot, low, high, and from and to of each range that is not durable. */
type WindowJson = [boot: string, low: number, high: number, ...unseen: number[]];

interface DeviceJson {
  /** Run clock when it was stored, ms. */
  readonly runMs: number;
  readonly ids: number;
  /** How numbers were taken: boots say something to who takes them in the same way. */
  readonly counting: string;
  /** The newest first. */
  readonly boots: readonly WindowJson[];
}

/** As it is stored; what is in flight is not in it. `runMs`: the run clock now. */
export function encodeDevice(
  device: DeviceState,
  { ids, runMs, counting }: Omit<DeviceJson, 'boots'>,
): string {
  const boots = [...device.windows()].map((window): WindowJson => {
    const unseen = [...window.unseen()].flatMap(({ from, to }) => [from, to]);
    return [window.boot, window.low, window.high, ...unseen];
  });
  const stored: DeviceJson = { runMs: Math.round(runMs), ids, counting, boots };
  return JSON.stringify(stored);
}

function rangesOf(ends: readonly number[]): NumberRange[] {
  const ranges: NumberRange[] = [];
  for (let i = 0; i + 1 < ends.length; i += 2) {
    ranges.push({ from: ends[i] ?? 0, to: ends[i + 1] ?? 0 });
  }
  return ranges;
}

function isSound({ ids, boots }: DeviceJson): boolean {
  return (
    Number.isSafeInteger(ids) &&
    boots.every(
      ([boot, ...numbers]) => typeof boot === 'string' && numbers.every(Number.isSafeInteger),
    )
  );
}

/** Takes up what was stored. False, and nothing is: it is not readable. */
export function restoreDevice(
  device: DeviceState,
  text: string,
  { counting, slab }: { readonly counting: string; readonly slab: BitSlab },
): boolean {
  try {
    const stored = JSON.parse(text) as DeviceJson;
    if (!isSound(stored)) return false;
    device.ids = stored.ids;
    if (stored.counting !== counting) return true;
    for (const [boot, low, high, ...ends] of [...stored.boots].reverse()) {
      device.add(BootWindow.restore({ boot, low, high, unseen: rangesOf(ends) }, slab));
    }
    return true;
  } catch {
    return false;
  }
}

/** Run clock at which it was stored, ms; undefined: not readable. */
export function storedRunMs(text: string): number | undefined {
  try {
    const { runMs } = JSON.parse(text) as Partial<DeviceJson>;
    return Number.isFinite(runMs) ? runMs : undefined;
  } catch {
    return undefined;
  }
}
