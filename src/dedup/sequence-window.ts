import { BySilence } from './by-silence.ts';
import { Claim, KNOWN, type Sighting } from './claim.ts';

export const WINDOW_BITS = 1024;
/**
 * Boots remembered per device: a device may still send what it kept from before its last reboot.
 */
const MAX_BOOTS = 4;
const WORDS = WINDOW_BITS / 32;
/** Devices looked at to find room for a boot. */
const LOOKED_AT = 64;

/**
 * Which of the last 1,024 numbers of one boot have been seen. A bit for number n stands at n mod
 * 1024.
 */
class BootWindow {
  readonly #bits = new Uint32Array(WORDS);
  /** Nearly all devices are silent at any time: a map for each would be the most of it. */
  #inFlight: Map<number, Claim> | undefined;
  high = -1;

  get isInFlight(): boolean {
    return this.#inFlight !== undefined;
  }

  claimOf(number: number): Claim | undefined {
    return this.#inFlight?.get(number);
  }

  add(number: number, claim: Claim): void {
    this.#inFlight ??= new Map();
    this.#inFlight.set(number, claim);
  }

  land(number: number): void {
    this.#inFlight?.delete(number);
    if (this.#inFlight?.size === 0) this.#inFlight = undefined;
  }

  knows(number: number): boolean {
    if (number > this.high || number <= this.high - WINDOW_BITS) return false;
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
  readonly windows = new Map<string, BootWindow>();

  get isInFlight(): boolean {
    for (const { isInFlight } of this.windows.values()) if (isInFlight) return true;
    return false;
  }

  /**
   * Not one with claims in flight: how many those can be is bounded by what the log lets in. False:
   * they all have some.
   */
  dropOldest(): boolean {
    for (const [boot, { isInFlight }] of this.windows) {
      if (isInFlight) continue;
      this.windows.delete(boot);
      return true;
    }
    return false;
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
    window.land(this.#number);
    // The window may have moved on meanwhile: the bit then belongs to another number.
    if (this.#number > window.high - WINDOW_BITS) window.mark(this.#number, durable);
  }
}

/**
 * Dedup by boot id and number: constant memory per boot. Numbers may come late and in any order
 * within the window. One that is older than the window can't be told from new and counts as new: a
 * reading stored twice can be mended later, one that was dropped can't.
 */
export class SequenceWindow {
  readonly #devices = new BySilence<DeviceBoots>();
  readonly #maxBoots: number;
  #boots = 0;

  /** `maxBoots`: over all devices, besides those in flight; about a kilobyte each. */
  constructor(options: { readonly maxBoots: number }) {
    this.#maxBoots = options.maxBoots;
  }

  claim(device: string, boot: string, number: number): Sighting {
    const window = this.#windowOf(device, boot);
    const flying = window.claimOf(number);
    if (flying !== undefined) return { kind: 'in-flight', claim: flying };
    if (window.knows(number)) return KNOWN;
    if (number > window.high) window.raise(number);
    const claim = new SequenceClaim(window, number);
    window.add(number, claim);
    return { kind: 'new', claim };
  }

  /** Is there a durable reading with this number? A look: no device is heard. */
  has(device: string, boot: string, number: number): boolean {
    return this.#devices.get(device)?.windows.get(boot)?.knows(number) ?? false;
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
    let boots = this.#devices.hear(device);
    const found = boots?.windows.get(boot);
    if (found !== undefined) return found;
    if (boots !== undefined && boots.windows.size >= MAX_BOOTS && boots.dropOldest()) {
      this.#boots -= 1;
    }
    if (this.#boots >= this.#maxBoots) this.#makeRoom(boots);
    if (boots === undefined) {
      boots = new DeviceBoots();
      this.#devices.add(device, boots);
    }
    const window = new BootWindow();
    boots.windows.set(boot, window);
    this.#boots += 1;
    return window;
  }

  /** The device that was silent longest goes; never one in flight, nor the one that speaks. */
  #makeRoom(speaking: DeviceBoots | undefined): void {
    for (const [device, boots] of this.#devices.silent(LOOKED_AT)) {
      if (boots === speaking || boots.isInFlight) continue;
      this.#boots -= boots.windows.size;
      this.#devices.delete(device);
      return;
    }
  }
}
