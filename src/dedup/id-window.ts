import { BySilence } from './by-silence.ts';
import { Claim, KNOWN, type Sighting } from './claim.ts';
import { Fingerprint } from './fingerprint.ts';
import { IdRing } from './id-ring.ts';

export interface IdWindowOptions {
  /** How long an id is known, in ms of the run clock. */
  readonly windowMs: number;
  /** Ids known per device, at most. */
  readonly windowIds: number;
  /**
   * Ids known in all, besides those in flight. Beyond it, a device that has its even share gives up
   * its own oldest, and for one that has less the device that was silent longest does.
   */
  readonly maxIds: number;
  /** Devices with ids, and boots with numbers, that are remembered. */
  readonly maxDevices: number;
}

/** Where a message id was seen: a device that numbers each of its topics by itself reuses ids. */
export interface IdPlace {
  readonly device: string;
  readonly topic: string;
}

/** A device that speaks is not left without a memory of its last few messages. */
const FLOOR_IDS = 16;
/** Devices looked at to find room. */
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

/** Ids known of all devices together. */
interface Total {
  ids: number;
}

/** The ids of one device: those in flight, and those whose readings are durable. */
class DeviceIds {
  readonly durable = new IdRing();
  readonly #total: Total;
  /** By the first lane of the fingerprint. */
  readonly #inFlight = new Map<number, IdClaim>();

  constructor(total: Total) {
    this.#total = total;
  }

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
    if (!durable) return;
    this.durable.push(claim.print, claim.runMs);
    this.#total.ids += 1;
  }

  dropOldest(): void {
    if (this.durable.size === 0) return;
    this.durable.dropOldest();
    this.#total.ids -= 1;
  }

  dropAll(): void {
    this.#total.ids -= this.durable.size;
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
  readonly #devices = new BySilence<DeviceIds>();
  readonly #total: Total = { ids: 0 };
  /** Fingerprints of topics: the same few again and again. Emptied when full. */
  readonly #topics = new Map<string, Fingerprint>();

  constructor(options: IdWindowOptions) {
    this.#options = options;
  }

  /** About 1.2 µs with its settling (`npm run bench`, row "claim"). */
  claim({ device, topic }: IdPlace, id: string, runMs: number): Sighting {
    const ids = this.#idsOf(device, runMs);
    this.#evict(ids, runMs);
    const print = Fingerprint.of(id, this.#topicPrint(topic));
    if (ids.durable.has(print)) return KNOWN;
    const flying = ids.claimOf(print);
    if (flying !== undefined) return { kind: 'in-flight', claim: flying };
    this.#makeIdRoom(ids);
    const claim = new IdClaim(ids, print, runMs);
    ids.add(claim);
    return { kind: 'new', claim };
  }

  /**
   * Is there a durable reading with this id? A look: no device is heard, and nothing makes room.
   * What is out of time is known until its device speaks again.
   */
  has({ device, topic }: IdPlace, id: string): boolean {
    const durable = this.#devices.get(device)?.durable;
    return durable?.has(Fingerprint.of(id, this.#topicPrint(topic))) ?? false;
  }

  /** A record of the log, read again at start. */
  remember(place: IdPlace, id: string, runMs: number): void {
    const seen = this.claim(place, id, runMs);
    if (seen.kind === 'new') seen.claim.settle();
  }

  /** Ids known now. */
  get size(): number {
    return this.#total.ids;
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
    const found = this.#devices.hear(device);
    if (found !== undefined) return found;
    this.#makeRoom(runMs);
    const ids = new DeviceIds(this.#total);
    this.#devices.add(device, ids);
    return ids;
  }

  /**
   * For a new device, those go that are out of time, and if there are too many all the same, the
   * one that was silent longest. What is in flight is never forgotten.
   */
  #makeRoom(runMs: number): void {
    const { windowMs, maxDevices } = this.#options;
    for (const [device, ids] of this.#devices.silent(LOOKED_AT)) {
      if (ids.isInFlight) continue;
      const last = ids.durable.newestRunMs ?? Number.NEGATIVE_INFINITY;
      if (runMs - last <= windowMs && this.#devices.size < maxDevices) return;
      ids.dropAll();
      this.#devices.delete(device);
    }
  }

  /** What is out of time goes, and the oldest beyond what one device may have. */
  #evict(ids: DeviceIds, runMs: number): void {
    const { windowMs, windowIds } = this.#options;
    const { durable } = ids;
    while (durable.size > windowIds || runMs - (durable.oldestRunMs ?? runMs) > windowMs) {
      ids.dropOldest();
    }
  }

  /** For one more id of the device that speaks. */
  #makeIdRoom(speaking: DeviceIds): void {
    const { maxIds } = this.#options;
    if (this.#total.ids < maxIds) return;
    const share = Math.max(FLOOR_IDS, Math.floor(maxIds / this.#devices.size));
    if (speaking.durable.size < share && this.#dropOfSilent(speaking)) return;
    speaking.dropOldest();
  }

  /** False: none of those looked at has any. */
  #dropOfSilent(speaking: DeviceIds): boolean {
    for (const [device, ids] of this.#devices.silent(LOOKED_AT)) {
      if (ids === speaking) continue;
      if (ids.durable.size > 0) {
        ids.dropOldest();
        return true;
      }
      if (!ids.isInFlight) this.#devices.delete(device);
    }
    return false;
  }
}
