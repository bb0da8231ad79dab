import { Claim, KNOWN, type Sighting } from './claim.ts';
import type { DeviceState } from './device-state.ts';
import type { Devices } from './devices.ts';
import { Fingerprint } from './fingerprint.ts';
import { type IdCopies, type IdEntry, IdRing, TICK_MS } from './id-ring.ts';
import type { Kept } from './id-run.ts';
import type { StoredIds } from './stored-ids.ts';

export interface IdWindowOptions {
  /** How long an id is known, in ms of the run clock. */
  readonly windowMs: number;
  /** Ids known per device, at most. */
  readonly windowIds: number;
  /** Does a repeat begin the time of its id anew? */
  readonly refresh?: boolean;
  /** Ids in memory, besides those in flight. */
  readonly maxIds: number;
}

/** Where a message id was seen: a device that numbers each of its topics by itself reuses ids. */
export interface IdPlace {
  readonly device: string;
  readonly topic: string;
}

const IDS_PER_TURN = 4_096;

/** An id in flight. */
class IdClaim extends Claim {
  readonly print: Fingerprint;
  readonly device: DeviceState;
  /** Run clock at which its reading arrived, ms. */
  readonly runMs: number;
  readonly #window: IdWindow;
  /** The id was known once, and is out of its window. */
  readonly isOld: boolean;
  /** Another one in flight whose fingerprint begins alike. */
  next: IdClaim | undefined;

  constructor(window: IdWindow, seen: Pick<IdClaim, 'device' | 'print' | 'runMs' | 'isOld'>) {
    super();
    this.#window = window;
    this.device = seen.device;
    this.print = seen.print;
    this.runMs = seen.runMs;
    this.isOld = seen.isOld;
    this.device.inFlight += 1;
  }

  protected override ended(durable: boolean): void {
    this.device.inFlight -= 1;
    this.#window.ended(this, durable);
  }
}

/**
 * The message ids of the last while, of all devices of a stream: the newest in memory, those before
 * in the store, if there is one. Pure but for the store; it is told the time.
 */
export class IdWindow {
  readonly #options: IdWindowOptions;
  readonly #devices: Devices;
  readonly #ring: IdRing;
  readonly #stored: StoredIds | undefined;
  /** Of those pushed, how many are stored: none where nothing is. */
  keptTo = 0;
  /** By the first lane of the fingerprint. */
  readonly #inFlight = new Map<number, IdClaim>();

  constructor(options: IdWindowOptions, devices: Devices, stored: StoredIds | undefined) {
    this.#options = options;
    this.#devices = devices;
    this.#ring = new IdRing(options.maxIds);
    this.#stored = stored;
  }

  /** About 1.7 µs with its settling, in a full window (`npm run bench:dedup`). */
  claim(place: IdPlace, id: string, runMs: number): Sighting {
    const device = this.#devices.hear(place.device);
    const print = Fingerprint.of(id, this.#printAt(device, place.topic));
    const flying = this.#claimOf(print);
    if (flying !== undefined) return { kind: 'in-flight', claim: flying };
    const entry = this.#find(print);
    if (entry !== undefined && this.#isInWindow(entry, device, runMs)) {
      if (this.#options.refresh === true) this.#refresh(print, entry, device, runMs);
      return KNOWN;
    }
    const claim = new IdClaim(this, { device, print, runMs, isOld: entry !== undefined });
    claim.next = this.#inFlight.get(print.a);
    this.#inFlight.set(print.a, claim);
    return { kind: 'new', claim };
  }

  /** Is there a durable reading with this id? A look: no device is heard, and nothing changes. */
  has(place: IdPlace, id: string, runMs: number): boolean {
    const entry = this.#find(Fingerprint.of(id, placePrint(place.device, place.topic)));
    if (entry === undefined) return false;
    return this.#devices.look(place.device, (device) => this.#isInWindow(entry, device, runMs));
  }

  /** A record of the log, read again at start. */
  remember(place: IdPlace, id: string, runMs: number): void {
    const device = this.#devices.hear(place.device);
    this.#push(Fingerprint.of(id, this.#printAt(device, place.topic)), device, runMs);
  }

  /** Told by a claim. */
  ended(claim: IdClaim, durable: boolean): void {
    this.#land(claim);
    if (!durable) return;
    const { print, device, runMs, isOld } = claim;
    if (isOld) this.#push(print, device, runMs);
    else this.#ring.pushNew(print, this.#nextEntry(device, runMs), device.number);
  }

  /** Ids in memory. */
  get size(): number {
    return this.#ring.size;
  }

  /** How many became durable, all in all: where a later look at the newest begins. */
  get pushed(): number {
    return this.#ring.pushed;
  }

  /** Of the oldest one that is in memory. */
  get first(): number {
    return this.#ring.first;
  }

  /** Tick of the oldest id that is in the window. */
  oldestTick(runMs: number): number {
    return Math.max(0, tickOf(runMs - this.#options.windowMs));
  }

  /** A copy of the ids from the `from`-th on and before the `to`-th. */
  copy(from: number, to: number): Int32Array {
    return this.#ring.copy(from, to);
  }

  /**
   * Which of the copies are in the window still, the newest first. Those of devices that are not in
   * memory any more count as such. Some at a time: there may be a hundred thousand.
   */
  *kept(ids: IdCopies, runMs: number): Generator<void, Kept> {
    const devices = new Map([...this.#devices.all()].map((device) => [device.number, device]));
    const oldestTick = this.oldestTick(runMs);
    const kept: number[] = [];
    for (let n = ids.count - 1; n >= 0; n--) {
      if (n % IDS_PER_TURN === 0) yield;
      if (ids.device(n) === 0 || ids.tick(n) < oldestTick) continue;
      const device = devices.get(ids.device(n));
      if (device !== undefined && idsSince(device, ids.ordinal(n)) > this.#options.windowIds) {
        continue;
      }
      kept.push(n);
    }
    return kept;
  }

  #push(print: Fingerprint, device: DeviceState, runMs: number): void {
    this.#ring.push(print, this.#nextEntry(device, runMs), device.number);
  }

  #nextEntry(device: DeviceState, runMs: number): IdEntry {
    const entry = { tick: tickOf(runMs), ordinal: device.ids };
    device.ids += 1;
    this.#devices.changed(device);
    return entry;
  }

  #find(print: Fingerprint): IdEntry | undefined {
    return this.#ring.find(print) ?? this.#stored?.find(print);
  }

  #isInWindow({ tick, ordinal }: IdEntry, device: DeviceState, runMs: number): boolean {
    const { windowMs, windowIds } = this.#options;
    return runMs - tick * TICK_MS <= windowMs && idsSince(device, ordinal) <= windowIds;
  }

  /** In its place if that is to be stored still, else in a new one. */
  #refresh(print: Fingerprint, { ordinal }: IdEntry, device: DeviceState, runMs: number): void {
    const tick = tickOf(runMs);
    if (this.#ring.touch(print, tick, this.keptTo)) return;
    this.#ring.push(print, { tick, ordinal }, device.number);
  }

  /** Of a device that was heard: to look its topic up takes a tenth of all that a claim does. */
  #printAt(device: DeviceState, topic: string): Fingerprint {
    if (device.place?.topic === topic) return device.place.print;
    const print = placePrint(device.name, topic);
    device.place = { topic, print };
    return print;
  }

  #claimOf(print: Fingerprint): IdClaim | undefined {
    let claim = this.#inFlight.get(print.a);
    while (claim !== undefined && !claim.print.equals(print)) claim = claim.next;
    return claim;
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

function placePrint(device: string, topic: string): Fingerprint {
  return Fingerprint.of(topic, Fingerprint.of(device, undefined));
}

/**
 * How many ids of the device became durable from that one on. The count of a device that was
 * forgotten meanwhile begins anew: nothing is known of what is ahead of it.
 */
function idsSince({ ids }: DeviceState, ordinal: number): number {
  return (ids - ordinal) >>> 0;
}

function tickOf(runMs: number): number {
  return Math.floor(runMs / TICK_MS);
}
