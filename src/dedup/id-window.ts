import { Claim, KNOWN, type Sighting } from './claim.ts';

export interface IdWindowOptions {
  /** How long an id is known, in ms of the run clock. */
  readonly windowMs: number;
  /** Ids known per device, at most. */
  readonly windowIds: number;
  /** Ids known in all. Devices share them evenly once there is not enough for all. */
  readonly maxIds: number;
  readonly maxDevices: number;
}

/** In flight, or the run clock at which its reading arrived. */
type State = Claim | number;

/** No device is left without a memory of its last few messages. */
const FLOOR_IDS = 16;
const COMPACT_AFTER = 1024;

/**
 * The ids of one device and the order in which they came. The order has a list of its own: taking
 * the first key of a Map again and again walks over all the holes that deleted keys leave.
 */
class DeviceIds {
  readonly states = new Map<string, State>();
  #order: string[] = [];
  #head = 0;

  add(id: string, state: State): void {
    this.#order.push(id);
    this.states.set(id, state);
  }

  /** State of the oldest id; an id that was released meanwhile has none. */
  oldest(): { readonly id: string; readonly state: State | undefined } | undefined {
    const id = this.#order[this.#head];
    return id === undefined ? undefined : { id, state: this.states.get(id) };
  }

  newest(): State | undefined {
    const id = this.#order.at(-1);
    return id === undefined ? undefined : this.states.get(id);
  }

  dropOldest(id: string): void {
    this.states.delete(id);
    this.#head += 1;
    if (this.#head < COMPACT_AFTER || this.#head * 2 < this.#order.length) return;
    this.#order = this.#order.slice(this.#head);
    this.#head = 0;
  }
}

/** The message ids of the last while, per device. Pure: it is told the time. */
export class IdWindow {
  readonly #options: IdWindowOptions;
  readonly #devices = new Map<string, DeviceIds>();

  constructor(options: IdWindowOptions) {
    this.#options = options;
  }

  /** About 0.5 µs with its settling (`npm run bench`, row "claim"). */
  claim(device: string, id: string, runMs: number): Sighting {
    const ids = this.#idsOf(device, runMs);
    const state = ids.states.get(id);
    if (state instanceof Claim) return { kind: 'in-flight', claim: state };
    this.#evict(ids, runMs);
    if (state !== undefined && ids.states.has(id)) {
      // Still there: it is within its time.
      return KNOWN;
    }
    const claim = new Claim((durable) => {
      if (durable) ids.states.set(id, runMs);
      else ids.states.delete(id);
    });
    ids.add(id, claim);
    return { kind: 'new', claim };
  }

  /** A record of the log, read again at start. */
  remember(device: string, id: string, runMs: number): void {
    const ids = this.#idsOf(device, runMs);
    this.#evict(ids, runMs);
    if (ids.states.has(id)) ids.states.set(id, runMs);
    else ids.add(id, runMs);
  }

  /** Ids known now. */
  get size(): number {
    let size = 0;
    for (const ids of this.#devices.values()) size += ids.states.size;
    return size;
  }

  #idsOf(device: string, runMs: number): DeviceIds {
    const found = this.#devices.get(device);
    if (found !== undefined) return found;
    this.#makeRoom(runMs);
    const ids = new DeviceIds();
    this.#devices.set(device, ids);
    return ids;
  }

  /**
   * For a new device, the one that has been there longest goes: if it is out of time, or if one
   * must.
   */
  #makeRoom(runMs: number): void {
    const { windowMs, maxDevices } = this.#options;
    for (const [device, ids] of this.#devices) {
      const newest = ids.newest();
      const outOfTime =
        newest === undefined || (!(newest instanceof Claim) && runMs - newest > windowMs);
      if (outOfTime || this.#devices.size >= maxDevices) this.#devices.delete(device);
      return;
    }
  }

  /**
   * Makes room for one more id: what is out of time goes, and the oldest beyond the device's share.
   */
  #evict(ids: DeviceIds, runMs: number): void {
    const { windowMs, windowIds, maxIds } = this.#options;
    const share = Math.floor(maxIds / this.#devices.size);
    const limit = Math.min(windowIds, Math.max(FLOOR_IDS, share));
    for (let oldest = ids.oldest(); oldest !== undefined; oldest = ids.oldest()) {
      const { id, state } = oldest;
      // What is in flight is never forgotten; its number is bounded by what the log lets in.
      if (state instanceof Claim) return;
      const kept = state !== undefined && runMs - state <= windowMs && ids.states.size < limit;
      if (kept) return;
      ids.dropOldest(id);
    }
  }
}
