import { BitSlab } from './bit-slab.ts';
import { BootWindow } from './boot-window.ts';
import { BySilence } from './by-silence.ts';
import { DeviceState, encodeDevice, MAX_BOOTS, restoreDevice } from './device-state.ts';

/** Devices looked at to find room. */
const LOOKED_AT = 64;

export interface DevicesOptions {
  /** Devices, and boots of all of them, that are in memory at one time. */
  readonly maxDevices: number;
  /** What was stored of a device; undefined: nothing. Answers at once. None: nothing is stored. */
  readonly load?: ((device: string) => string | undefined) | undefined;
  /** Told of what was stored and can't be read. */
  readonly onFault?: (error: unknown) => void;
  /** How numbers are taken. Those that were taken in another way are not known. */
  readonly counting: string;
}

/**
 * The devices that dedup has in memory. For another, the one that was silent longest goes: to the
 * store if there is one, from where it comes back when it is heard again. What is in flight is
 * never forgotten.
 */
export class Devices {
  readonly #options: DevicesOptions;
  readonly #slab = new BitSlab();
  readonly #known = new BySilence<DeviceState>();
  #changed: DeviceState[] = [];
  /** Not in memory otherwise, and not in the store as they are. */
  readonly #leaving = new Map<string, DeviceState>();
  #writing = new Map<string, DeviceState>();
  #boots = 0;
  #lastNumber = 0;

  constructor(options: DevicesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#known.size;
  }

  /** Those that are to be stored before they can be forgotten. */
  get leaving(): number {
    return this.#leaving.size;
  }

  /** A look, wherever it is; the device is as silent as before. */
  look<T>(name: string, at: (device: DeviceState) => T): T {
    const here = this.#known.get(name) ?? this.#leaving.get(name) ?? this.#writing.get(name);
    if (here !== undefined) return at(here);
    const device = this.#load(name);
    try {
      return at(device);
    } finally {
      device.end();
    }
  }

  /** Those in memory, the longest silent first. */
  *all(): Generator<DeviceState> {
    for (const [, device] of this.#known.silent(this.#known.size)) yield device;
  }

  /** The device is heard now. */
  hear(name: string): DeviceState {
    const found = this.#known.hear(name);
    if (found !== undefined) return found;
    if (this.#known.size >= this.#options.maxDevices) this.#makeRoom(undefined);
    const device = this.#fetch(name);
    this.#known.add(name, device);
    this.#boots += device.boots;
    while (this.#boots > this.#options.maxDevices && this.#makeRoom(device));
    return device;
  }

  /** A boot that is not known. */
  begin(device: DeviceState, boot: string, first: number): BootWindow {
    if (device.boots >= MAX_BOOTS && device.dropOldest()) this.#boots -= 1;
    if (this.#boots >= this.#options.maxDevices) this.#makeRoom(device);
    const window = new BootWindow(boot, first, this.#slab);
    device.add(window);
    this.#boots += 1;
    return window;
  }

  /** Its numbers start again. */
  beginAgain(device: DeviceState, window: BootWindow, first: number): BootWindow {
    device.drop(window);
    this.#boots -= 1;
    return this.begin(device, window.boot, first);
  }

  /** It is not any more what is stored of it. */
  changed(device: DeviceState): void {
    if (device.isChanged || this.#options.load === undefined) return;
    device.isChanged = true;
    this.#changed.push(device);
    // Those that were forgotten before they could be stored.
    if (this.#changed.length > 4 * this.#options.maxDevices) {
      this.#changed = this.#changed.filter(({ isChanged }) => isChanged);
    }
  }

  /** What is to be stored now: all that changed since the last time. */
  takeChanged(): readonly DeviceState[] {
    const changed = this.#changed.filter(({ isChanged }) => isChanged);
    this.#changed = [];
    for (const device of changed) {
      device.isChanged = false;
      this.#writing.set(device.name, device);
    }
    for (const [name, device] of this.#leaving) if (!this.#writing.has(name)) device.end();
    this.#leaving.clear();
    return changed;
  }

  /** What was taken is stored; or could not be, and changed still. */
  stored(isStored: boolean): void {
    const written = this.#writing;
    this.#writing = new Map();
    for (const [name, device] of written) {
      const isHere = this.#known.get(name) === device;
      if (!isStored) {
        this.changed(device);
        if (!isHere) this.#leave(device);
      } else if (!isHere && !this.#leaving.has(name)) device.end();
    }
  }

  /** From memory, where it may still be, or from the store. */
  #fetch(name: string): DeviceState {
    const kept = this.#leaving.get(name) ?? this.#writing.get(name);
    this.#leaving.delete(name);
    return kept ?? this.#load(name);
  }

  /** As it is stored, or new. */
  #load(name: string): DeviceState {
    this.#lastNumber += 1;
    const device = new DeviceState(name, this.#lastNumber);
    const text = this.#options.load?.(name);
    if (text === undefined) return device;
    const { counting, onFault } = this.#options;
    const isRead = restoreDevice(device, text, { counting, slab: this.#slab });
    if (!isRead) onFault?.(new Error(`the state of the device ${name} is not readable`));
    return device;
  }

  /** As it is to be stored: `ids` of it, at the run clock `runMs`. */
  encode(device: DeviceState, ids: number, runMs: number): string {
    const { counting } = this.#options;
    return encodeDevice(device, { ids, runMs, counting });
  }

  /**
   * The device that was silent longest goes; never one in flight, nor the one that speaks. False:
   * there is none.
   */
  #makeRoom(speaking: DeviceState | undefined): boolean {
    for (const [name, device] of this.#known.silent(LOOKED_AT)) {
      if (device === speaking || device.inFlight > 0) continue;
      this.#boots -= device.boots;
      this.#known.delete(name);
      if (device.isChanged || this.#writing.has(name)) this.#leave(device);
      else device.end();
      return true;
    }
    return false;
  }

  /** While nothing can be stored, the first of those that wait for it are forgotten. */
  #leave(device: DeviceState): void {
    if (this.#options.load === undefined) {
      device.end();
      return;
    }
    this.#leaving.set(device.name, device);
    if (this.#leaving.size <= this.#options.maxDevices) return;
    const [first] = this.#leaving;
    if (first === undefined) return;
    const [name, forgotten] = first;
    this.#leaving.delete(name);
    forgotten.isChanged = false;
    // One that is being written as well is given back when that has ended.
    if (!this.#writing.has(name)) forgotten.end();
  }
}
