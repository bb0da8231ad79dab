import { Claim, KNOWN, type Sighting } from './claim.ts';

export const WINDOW_BITS = 1024;
/**
 * Boots remembered per device: a device may still send what it kept from before its last reboot.
 */
const MAX_BOOTS = 4;
const WORDS = WINDOW_BITS / 32;
/** Devices looked at to find room for a new one. */
const LOOKED_AT = 64;

/**
 * Which of the last 1,024 numbers of one boot have been seen. A bit for number n stands at n mod
 * 1024.
 */
class BootWindow {
  readonly #bits = new Uint32Array(WORDS);
  readonly inFlight = new Map<number, Claim>();
  high = -1;

  has(number: number): boolean {
    const bit = number % WINDOW_BITS;
    return ((this.#bits[bit >>> 5] ?? 0) & (1 << (bit & 31))) !== 0;
  }

  mark(number: number, seen: boolean): void {
    const bit = number % WINDOW_BITS;
    const word = this.#bits[bit >>> 5] ?? 0;
    this.#bits[bit >>> 5] = seen ? word | (1 << (bit & 31)) : word & ~(1 << (bit & 31));
  }

  /** The window moves up so that `number` is its highest. */
  raise(number: number): void {
    if (number - this.high >= WINDOW_BITS) this.#bits.fill(0);
    else for (let n = this.high + 1; n <= number; n++) this.mark(n, false);
    this.high = number;
  }
}

/** The boots of one device, the newest last. */
class DeviceBoots {
  readonly #windows = new Map<string, BootWindow>();
  wasHeard = true;

  get isInFlight(): boolean {
    for (const { inFlight } of this.#windows.values()) if (inFlight.size > 0) return true;
    return false;
  }

  windowOf(boot: string): BootWindow {
    this.wasHeard = true;
    let window = this.#windows.get(boot);
    if (window === undefined) {
      if (this.#windows.size >= MAX_BOOTS) this.#dropOldest();
      window = new BootWindow();
      this.#windows.set(boot, window);
    }
    return window;
  }

  /** Not one with claims in flight: how many those can be is bounded by what the log lets in. */
  #dropOldest(): void {
    for (const [boot, { inFlight }] of this.#windows) {
      if (inFlight.size > 0) continue;
      this.#windows.delete(boot);
      return;
    }
  }
}

class SequenceClaim extends Claim {
  readonly #window: BootWindow;
  readonly #number: number;

  constructor(window: BootWindow, number: number) {
    super();
    this.#window = window;
    this.#number = number;
  }

  protected override ended(durable: boolean): void {
    const window = this.#window;
    window.inFlight.delete(this.#number);
    // The window may have moved on meanwhile: the bit then belongs to another number.
    if (this.#number > window.high - WINDOW_BITS) window.mark(this.#number, durable);
  }
}

/**
 * Dedup by boot id and number: constant memory per device. Numbers may come late and in any order
 * within the window. One that is older than the window can't be told from new and counts as new: a
 * reading stored twice can be mended later, one that was dropped can't.
 */
export class SequenceWindow {
  readonly #devices = new Map<string, DeviceBoots>();
  readonly #maxDevices: number;

  constructor(options: { readonly maxDevices: number }) {
    this.#maxDevices = options.maxDevices;
  }

  claim(device: string, boot: string, number: number): Sighting {
    const window = this.#windowOf(device, boot);
    const flying = window.inFlight.get(number);
    if (flying !== undefined) return { kind: 'in-flight', claim: flying };
    const inWindow = number > window.high - WINDOW_BITS;
    if (inWindow && number <= window.high && window.has(number)) return KNOWN;
    if (number > window.high) window.raise(number);
    const claim = new SequenceClaim(window, number);
    window.inFlight.set(number, claim);
    return { kind: 'new', claim };
  }

  /** A record of the log, read again at start. */
  remember(device: string, boot: string, number: number): void {
    const window = this.#windowOf(device, boot);
    if (number > window.high) window.raise(number);
    if (number > window.high - WINDOW_BITS) window.mark(number, true);
  }

  get size(): number {
    return this.#devices.size;
  }

  #windowOf(device: string, boot: string): BootWindow {
    let boots = this.#devices.get(device);
    if (boots === undefined) {
      if (this.#devices.size >= this.#maxDevices) this.#makeRoom();
      boots = new DeviceBoots();
      this.#devices.set(device, boots);
    }
    return boots.windowOf(boot);
  }

  /** A device goes that has not been heard since it was last looked at; never one in flight. */
  #makeRoom(): void {
    let looked = 0;
    for (const [device, boots] of this.#devices) {
      if (++looked > LOOKED_AT) return;
      this.#devices.delete(device);
      if (!boots.wasHeard && !boots.isInFlight) return;
      boots.wasHeard = false;
      this.#devices.set(device, boots);
    }
  }
}
