import { Claim, KNOWN, type Sighting } from './claim.ts';
import { Fingerprint } from './fingerprint.ts';
import { IdRing } from './id-ring.ts';

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
/** Devices looked at to find room for a new one. */
const LOOKED_AT = 64;
const MAX_TOPIC_PRINTS = 10_000;

/** An id in flight. */
class IdClaim extends Claim {
  readonly print: Fingerprint;
  /** Run clock at which its reading arrived, ms. */
  readonly runMs: number;
  readonly #device: DeviceIds;
  /** Another one in flight whose fingerprint begins alike. */
  next: IdClaim | undefined;

  constructor(device: DeviceIds, print: Fingerprint, runMs: number) {
    super();
    this.#device = device;
    this.print = print;
    this.runMs = runMs;
  }

  protected override ended(durable: boolean): void {
    this.#device.ended(this, durable);
  }
}

/** The ids of one device: those in flight, and those whose readings are durable. */
class DeviceIds {
  readonly durable = new IdRing();
  /** By the first lane of the fingerprint. */
  readonly #inFlight = new Map<number, IdClaim>();

  get isInFlight(): boolean {
    return this.#inFlight.size > 0;
  }

  claimOf(print: Fingerprint): IdClaim | undefined {
    let claim = this.#inFlight.get(print.a);
    while (claim !== undefined && !claim.print.equals(print)) claim = claim.next;
    return claim;
  }

  add(claim: IdClaim): void {
    claim.next = this.#inFlight.get(claim.print.a);
    this.#inFlight.set(claim.print.a, claim);
  }

  ended(claim: IdClaim, durable: boolean): void {
    this.#land(claim);
    if (durable) this.durable.push(claim.print, claim.runMs);
  }

  #land(claim: IdClaim): void {
    const first = this.#inFlight.get(claim.print.a);
    if (first === claim) {
      if (claim.next === undefined) this.#inFlight.delete(claim.print.a);
      else this.#inFlight.set(claim.print.a, claim.next);
      return;
    }
    for (let before = first; before !== undefined; before = before.next) {
      if (before.next === claim) before.next = claim.next;
    }
  }
}

/** The message ids of the last while, per device. Pure: it is told the time. */
export class IdWindow {
  readonly #options: IdWindowOptions;
  readonly #devices = new Map<string, DeviceIds>();
  /** Fingerprints of topics: the same few again and again. Emptied when full. */
  readonly #topics = new Map<string, Fingerprint>();

  constructor(options: IdWindowOptions) {
    this.#options = options;
  }

  /** About 1.2 µs with its settling (`npm run bench`, row "claim"). */
  claim({ device, topic }: IdPlace, id: string, runMs: number): Sighting {
    const ids = this.#idsOf(device, runMs);
    this.#evict(ids.durable, runMs);
    const print = Fingerprint.of(id, this.#topicPrint(topic));
    if (ids.durable.has(print)) return KNOWN;
    const flying = ids.claimOf(print);
    if (flying !== undefined) return { kind: 'in-flight', claim: flying };
    const claim = new IdClaim(ids, print, runMs);
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
    for (const ids of this.#devices.values()) size += ids.durable.size;
    return size;
  }

  #topicPrint(topic: string): Fingerprint {
    let print = this.#topics.get(topic);
    if (print === undefined) {
      print = Fingerprint.of(topic, undefined);
      if (this.#topics.size >= MAX_TOPIC_PRINTS) this.#topics.clear();
      this.#topics.set(topic, print);
    }
    return print;
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
      const last = ids.durable.newestRunMs ?? Number.NEGATIVE_INFINITY;
      this.#devices.delete(device);
      if (!ids.isInFlight && runMs - last > windowMs) continue;
      this.#devices.set(device, ids);
      if (!ids.isInFlight && last < (silent?.runMs ?? Number.POSITIVE_INFINITY)) {
        silent = { device, runMs: last };
      }
    }
    if (silent !== undefined && this.#devices.size >= maxDevices) {
      this.#devices.delete(silent.device);
    }
  }

  /** What is out of time goes, and the oldest beyond the device's share. */
  #evict(durable: IdRing, runMs: number): void {
    const { windowMs, windowIds, maxIds } = this.#options;
    const share = Math.floor(maxIds / this.#devices.size);
    const limit = Math.min(windowIds, Math.max(FLOOR_IDS, share));
    while (durable.size > limit || runMs - (durable.oldestRunMs ?? runMs) > windowMs) {
      durable.dropOldest();
    }
  }
}
