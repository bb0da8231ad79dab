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

/** Where a message id was seen: a device that numbers each of its topics by itself reuses ids. */
export interface IdPlace {
  readonly device: string;
  readonly topic: string;
}

/** No device is left without a memory of its last few messages. */
const FLOOR_IDS = 16;
const COMPACT_AFTER = 1024;
/** Devices looked at to find room for a new one. */
const LOOKED_AT = 64;

type State = 'in-flight' | 'durable' | 'released';

/** One id: a claim while it is in flight, a memory afterwards. */
class KnownId extends Claim {
  readonly id: string;
  readonly topic: string;
  /** Run clock at which its reading arrived, ms. */
  readonly runMs: number;
  state: State;
  readonly #device: DeviceIds;

  constructor(device: DeviceIds, { topic }: IdPlace, id: string, runMs: number) {
    super();
    this.#device = device;
    this.id = id;
    this.topic = topic;
    this.runMs = runMs;
    this.state = 'in-flight';
  }

  protected override ended(durable: boolean): void {
    this.state = durable ? 'durable' : 'released';
    this.#device.ended(this);
  }
}

/**
 * The ids of one device and the order in which they came. The order has a list of its own: taking
 * the first key of a Map again and again walks over all the holes that deleted keys leave.
 */
class DeviceIds {
  readonly #topics = new Map<string, Map<string, KnownId>>();
  #order: KnownId[] = [];
  #head = 0;
  #released = 0;
  inFlight = 0;
  /** Ids known. */
  size = 0;

  find(topic: string, id: string): KnownId | undefined {
    return this.#topics.get(topic)?.get(id);
  }

  add(entry: KnownId): void {
    let ids = this.#topics.get(entry.topic);
    if (ids === undefined) {
      ids = new Map();
      this.#topics.set(entry.topic, ids);
    }
    ids.set(entry.id, entry);
    this.#order.push(entry);
    this.size += 1;
    if (entry.state === 'in-flight') this.inFlight += 1;
  }

  ended(entry: KnownId): void {
    this.inFlight -= 1;
    if (entry.state !== 'released') return;
    this.#forget(entry);
    this.#released += 1;
    // While nothing can be stored, every try leaves one.
    if (this.#released < COMPACT_AFTER || this.#released * 2 < this.#order.length) return;
    this.#order = this.#order.slice(this.#head).filter(({ state }) => state !== 'released');
    this.#head = 0;
    this.#released = 0;
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
    if (oldest.state === 'released') this.#released -= 1;
    else this.#forget(oldest);
    this.#head += 1;
    if (this.#head < COMPACT_AFTER || this.#head * 2 < this.#order.length) return;
    this.#order = this.#order.slice(this.#head);
    this.#head = 0;
  }

  #forget({ topic, id }: KnownId): void {
    const ids = this.#topics.get(topic);
    ids?.delete(id);
    if (ids?.size === 0) this.#topics.delete(topic);
    this.size -= 1;
  }
}

/** The message ids of the last while, per device. Pure: it is told the time. */
export class IdWindow {
  readonly #options: IdWindowOptions;
  readonly #devices = new Map<string, DeviceIds>();

  constructor(options: IdWindowOptions) {
    this.#options = options;
  }

  /** About 0.8 µs with its settling (`npm run bench`, row "claim"). */
  claim(place: IdPlace, id: string, runMs: number): Sighting {
    const ids = this.#idsOf(place.device, runMs);
    this.#evict(ids, runMs);
    const known = ids.find(place.topic, id);
    if (known !== undefined) {
      return known.state === 'durable' ? KNOWN : { kind: 'in-flight', claim: known };
    }
    const claim = new KnownId(ids, place, id, runMs);
    ids.add(claim);
    return { kind: 'new', claim };
  }

  /** A record of the log, read again at start. */
  remember(place: IdPlace, id: string, runMs: number): void {
    const seen = this.claim(place, id, runMs);
    if (seen.kind === 'new') seen.claim.settle();
  }

  /** Ids known now. */
  get size(): number {
    let size = 0;
    for (const ids of this.#devices.values()) size += ids.size;
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
   * For a new device, those go that are out of time; if there are too many all the same, the one
   * that was silent longest of the few that are looked at. Those looked at and kept go to the end
   * of the row, so that each gets its turn. What is in flight is never forgotten.
   */
  #makeRoom(runMs: number): void {
    const { windowMs, maxDevices } = this.#options;
    let silent: { device: string; runMs: number } | undefined;
    let looked = 0;
    for (const [device, ids] of this.#devices) {
      if (++looked > LOOKED_AT) break;
      const last = ids.newest()?.runMs ?? Number.NEGATIVE_INFINITY;
      this.#devices.delete(device);
      if (ids.inFlight === 0 && runMs - last > windowMs) continue;
      this.#devices.set(device, ids);
      if (ids.inFlight === 0 && last < (silent?.runMs ?? Number.POSITIVE_INFINITY)) {
        silent = { device, runMs: last };
      }
    }
    if (silent !== undefined && this.#devices.size >= maxDevices) {
      this.#devices.delete(silent.device);
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
      if (oldest.state === 'durable' && inTime && ids.size <= limit) return;
      ids.dropOldest();
    }
  }
}
