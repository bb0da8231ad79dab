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

/** No device is left without a memory of its last few messages. */
const FLOOR_IDS = 16;
const COMPACT_AFTER = 1024;

/** One id: a claim while it is in flight, a memory afterwards. */
class KnownId extends Claim {
  readonly id: string;
  /** Run clock at which its reading arrived, ms. */
  readonly runMs: number;
  state: 'in-flight' | 'durable' | 'released';
  readonly #device: DeviceIds;

  constructor(device: DeviceIds, id: string, runMs: number, state: 'in-flight' | 'durable') {
    super();
    this.#device = device;
    this.id = id;
    this.runMs = runMs;
    this.state = state;
  }

  protected override ended(durable: boolean): void {
    this.state = durable ? 'durable' : 'released';
    if (!durable) this.#device.known.delete(this.id);
  }
}

/**
 * The ids of one device and the order in which they came. The order has a list of its own: taking
 * the first key of a Map again and again walks over all the holes that deleted keys leave.
 */
class DeviceIds {
  readonly known = new Map<string, KnownId>();
  #order: KnownId[] = [];
  #head = 0;

  add(entry: KnownId): void {
    this.#order.push(entry);
    this.known.set(entry.id, entry);
  }

  oldest(): KnownId | undefined {
    return this.#order[this.#head];
  }

  newest(): KnownId | undefined {
    return this.#order.at(-1);
  }

  dropOldest(): void {
    const oldest = this.#order[this.#head];
    if (oldest === undefined) return;
    // One that was released may have come again since: then the name belongs to the later one.
    if (oldest.state !== 'released') this.known.delete(oldest.id);
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

  /** About 0.7 µs with its settling (`npm run bench`, row "claim"). */
  claim(device: string, id: string, runMs: number): Sighting {
    const ids = this.#idsOf(device, runMs);
    this.#evict(ids, runMs);
    const known = ids.known.get(id);
    if (known !== undefined) {
      return known.state === 'durable' ? KNOWN : { kind: 'in-flight', claim: known };
    }
    const claim = new KnownId(ids, id, runMs, 'in-flight');
    ids.add(claim);
    return { kind: 'new', claim };
  }

  /** A record of the log, read again at start. */
  remember(device: string, id: string, runMs: number): void {
    const ids = this.#idsOf(device, runMs);
    this.#evict(ids, runMs);
    if (!ids.known.has(id)) ids.add(new KnownId(ids, id, runMs, 'durable'));
  }

  /** Ids known now. */
  get size(): number {
    let size = 0;
    for (const ids of this.#devices.values()) size += ids.known.size;
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

  /** For a new device, the one that has been there longest goes: if out of time, or if one must. */
  #makeRoom(runMs: number): void {
    const { windowMs, maxDevices } = this.#options;
    for (const [device, ids] of this.#devices) {
      const newest = ids.newest();
      const outOfTime =
        newest === undefined || (newest.state !== 'in-flight' && runMs - newest.runMs > windowMs);
      if (outOfTime || this.#devices.size >= maxDevices) this.#devices.delete(device);
      return;
    }
  }

  /** What is out of time goes, and the oldest beyond the device's share. */
  #evict(ids: DeviceIds, runMs: number): void {
    const { windowMs, windowIds, maxIds } = this.#options;
    const share = Math.floor(maxIds / this.#devices.size);
    const limit = Math.min(windowIds, Math.max(FLOOR_IDS, share));
    for (let oldest = ids.oldest(); oldest !== undefined; oldest = ids.oldest()) {
      // What is in flight is never forgotten; its number is bounded by what the log lets in.
      if (oldest.state === 'in-flight') return;
      const inTime = runMs - oldest.runMs <= windowMs;
      if (oldest.state === 'durable' && inTime && ids.known.size <= limit) return;
      ids.dropOldest();
    }
  }
}
