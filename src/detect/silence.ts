import type { LogRecord } from '../base/reading.ts';
import type { Verdict } from '../base/verdict.ts';
import { Deadlines } from './deadlines.ts';
import { type Limit, LimitScope } from './limits.ts';
import {
  isSound,
  keyOf,
  type Last,
  newTimer,
  type StoredTimer,
  stored,
  type Timer,
} from './silence-timer.ts';
import { isUsualGap, NO_GAPS, silentAfterMs, withGap } from './usual-gap.ts';

export interface SilenceOptions {
  /** Learns how long each device is silent as a rule; else only limits count. */
  readonly learned: boolean;
  /** Silent is who says nothing for so many times its longest usual gap, */
  readonly factor: number;
  /** and for so long at least, ms. */
  readonly minMs: number;
  /** Plain limits; those with `silenceSeconds` count. */
  readonly limits: Readonly<Record<string, Limit>>;
  /** How late a reading may be handled after it has arrived, ms: a commit's linger. */
  readonly graceMs: number;
  readonly maxDevices: number;
}

/** A device that has fallen silent. */
export interface Fallen {
  readonly verdict: Verdict;
  /** Wall clock and run clock of its last reading. */
  readonly since: { readonly sinceMs: number; readonly sinceRunMs: number };
  /** The run clock at a restart that its silence is counted from. */
  readonly from?: number;
}

/** What a reading says of silences: first those that fell, then who is heard again. */
export interface Heard {
  /** Those of one entry fell at about the same time. */
  readonly fallen: ReadonlyArray<readonly Fallen[]>;
  readonly heard: readonly Verdict[];
}

/** What silences are called where metrics are. */
export const SILENCE_METRIC = 'silence';

const PREFIX = 'silence/device/';
const STARTS_KEY = 'silence/starts';
const MAX_STARTS = 16;
/** What comes within it is one burst: a device that says several things at a time. */
const BURST_MS = 1_000;
/** Those that fall silent within it are told together. */
const GATHER_MS = 60_000;
const USUAL_BYTES = 300;
const NONE: Heard = { fallen: [], heard: [] };

/**
 * A dead-man timer for each device. Time is told to it, by readings and by a clock: what it says
 * depends on these moments alone, so that readings that are read again give the same silences. On
 * the run clock, which stands still while the gateway is down; after a restart every device has its
 * whole time again, since it has to connect first.
 */
export class Silence {
  readonly #options: SilenceOptions;
  readonly #scopes: readonly LimitScope[];
  readonly #devices = new Map<string, readonly Timer[]>();
  /** Of them, those with a limit. */
  readonly #limited = new Set<string>();
  #unheard = 0;
  readonly #deadlines = new Deadlines<Timer>();
  /** Run clock at restarts, ascending. */
  #starts: number[] = [];
  #startsChanged = false;
  /** Due, and gathered until all that fall with them are. */
  readonly #due = new Set<Timer>();
  /** Before it none of them is let go. */
  #releaseMs = Number.POSITIVE_INFINITY;
  readonly #changed = new Set<string>();
  /** Stored, and not readable. */
  #obsolete: string[] = [];

  constructor(options: SilenceOptions) {
    this.#options = options;
    this.#scopes = Object.entries(options.limits)
      .filter(([, { silenceSeconds }]) => silenceSeconds !== undefined)
      .map(([name, limit]) => new LimitScope(name, limit));
  }

  /** Nothing is listened for, so nothing needs to be called. */
  get isOff(): boolean {
    return !this.#options.learned && this.#scopes.length === 0;
  }

  /** Timers that can fall due. */
  get armed(): number {
    let armed = 0;
    for (const timers of this.#devices.values()) {
      for (const { dueMs, isSilent } of timers) if (dueMs !== undefined || isSilent) armed += 1;
    }
    return armed;
  }

  /** Readings of devices beyond `maxDevices`, whose silence nobody notices. */
  get unheard(): number {
    return this.#unheard;
  }

  /** `limit`: the name of one; undefined: by what is learned. */
  watches(device: string, limit?: string): boolean {
    return this.#devices.get(device)?.some(({ scope }) => scope?.name === limit) === true;
  }

  /** A restart is over: from here on devices have their whole time again. */
  restarted(runMs: number): void {
    let at = Math.max(runMs, this.#starts.at(-1) ?? 0);
    for (const timers of this.#devices.values()) {
      for (const { last } of timers) at = Math.max(at, last.runMs);
    }
    this.#starts = [...this.#starts, at].slice(-MAX_STARTS);
    this.#startsChanged = true;
  }

  observe(record: LogRecord): Heard {
    if (this.isOff) return NONE;
    const { runMs, receivedAtMs: wallMs, stream, partition, offset } = record;
    const fallen = this.advance(runMs, wallMs);
    const last = { runMs, wallMs, cause: { stream, partition, offset } };
    const heard: Verdict[] = [];
    for (const timer of this.#timersOf(record, last)) {
      if (timer.scope?.hasTopic(record.topic) === false) continue;
      if (timer.isSilent) heard.push(this.#verdict(timer, last, last));
      this.#hear(timer, last);
    }
    return { fallen, heard };
  }

  /** The time is `runMs`. Who has fallen silent by now? */
  advance(runMs: number, wallMs: number): Array<readonly Fallen[]> {
    for (let due = this.#deadlines.pop(runMs); due; due = this.#deadlines.pop(runMs)) {
      const timer = due.item;
      // Another entry stands for it since.
      if (timer.dueMs !== due.atMs) continue;
      timer.dueMs = undefined;
      const atMs = this.#deadline(timer);
      if (atMs === undefined || timer.isSilent) continue;
      if (atMs > runMs) this.#queue(timer, atMs);
      else {
        this.#due.add(timer);
        this.#releaseMs = Math.min(this.#releaseMs, this.#gatherMs(timer, atMs));
      }
    }
    const groups: Array<readonly Fallen[]> = [];
    while (runMs >= this.#releaseMs) {
      const { timers, atMs } = this.#gathered();
      this.#releaseMs = atMs;
      if (runMs < atMs) break;
      for (const timer of timers) this.#due.delete(timer);
      groups.push(timers.map((timer) => this.#fall(timer, atMs, wallMs - (runMs - atMs))));
    }
    return groups;
  }

  /** Until when those that fall with it are waited for. */
  #gatherMs(timer: Timer, atMs: number): number {
    return atMs + Math.min(GATHER_MS, (timer.limitMs ?? 0) / 2);
  }

  /** The next of the due ones that fall together, and when; never if there are none. */
  #gathered(): { timers: readonly Timer[]; atMs: number } {
    const sorted = [...this.#due]
      .map((timer) => ({ timer, atMs: this.#deadline(timer) ?? 0 }))
      .sort((a, b) => a.atMs - b.atMs || (keyOf(a.timer) < keyOf(b.timer) ? -1 : 1));
    let untilMs = Number.POSITIVE_INFINITY;
    const timers: Timer[] = [];
    for (const { timer, atMs } of sorted) {
      if (atMs > untilMs) break;
      timers.push(timer);
      untilMs = Math.min(untilMs, this.#gatherMs(timer, atMs));
    }
    return { timers, atMs: untilMs };
  }

  #fall(timer: Timer, runMs: number, wallMs: number): Fallen {
    timer.isSilent = true;
    this.#changed.add(timer.device);
    const { last } = timer;
    const base = this.#baseMs(timer);
    const verdict = this.#verdict(timer, { runMs, wallMs, cause: last.cause });
    const since = { sinceMs: last.wallMs, sinceRunMs: last.runMs };
    return { verdict, since, ...(base.isStart ? { from: base.atMs } : {}) };
  }

  /** `heard`: the reading that ends the silence. */
  #verdict({ device, scope, last, limitMs = 0 }: Timer, at: Last, heard?: Last): Verdict {
    const limit = scope && { name: scope.name, severity: scope.limit.severity };
    return {
      device,
      metric: SILENCE_METRIC,
      value: Math.max(0, at.runMs - last.runMs) / 1000,
      score: heard === undefined ? 1 : 0,
      expectedLow: 0,
      expectedHigh: limitMs / 1000,
      state: heard === undefined ? 'anomalous' : 'normal',
      learned: 1,
      fault: 'silence',
      ...(limit === undefined ? {} : { limit }),
      atRunMs: at.runMs,
      receivedAtMs: at.wallMs,
      cause: at.cause,
    };
  }

  #hear(timer: Timer, last: Last): void {
    this.#due.delete(timer);
    const gapMs = last.runMs - timer.gapRunMs;
    if (timer.scope === undefined && gapMs >= BURST_MS) {
      const isBroken = this.#starts.some((at) => at >= timer.gapRunMs && at <= last.runMs);
      if (!isBroken) this.#learn(timer, gapMs);
      timer.gapRunMs = last.runMs;
    }
    timer.isSilent = false;
    // Of two partitions, say: time does not go back.
    timer.last = last.runMs < timer.last.runMs ? { ...last, runMs: timer.last.runMs } : last;
    this.#changed.add(timer.device);
    this.#arm(timer);
  }

  #learn(timer: Timer, gapMs: number): void {
    timer.gaps = withGap(timer.gaps, gapMs, timer.isSilent);
    timer.limitMs = this.#limitOf(timer, this.#devices.get(timer.device) ?? []);
  }

  #arm(timer: Timer): void {
    const atMs = this.#deadline(timer);
    if (atMs === undefined) return;
    // One that is looked at earlier is put off then: a reading costs no more than this.
    if (timer.dueMs === undefined || atMs < timer.dueMs) this.#queue(timer, atMs);
  }

  #queue(timer: Timer, atMs: number): void {
    timer.dueMs = atMs;
    this.#deadlines.add(atMs, timer);
  }

  /** `all`: those of its device. */
  #limitOf({ scope, gaps }: Timer, all: readonly Timer[]): number | undefined {
    const seconds = scope?.limit.silenceSeconds;
    if (seconds !== undefined) return seconds * 1000;
    // What a person has set for a device goes before what is learned of it.
    const isSet = all.some((timer) => timer.scope !== undefined);
    return isSet ? undefined : silentAfterMs(gaps, this.#options);
  }

  /**
   * Those with a limit have as many places again: none that a person asked for is turned away for
   * one that is only learned.
   */
  #hasPlace(isLimited: boolean): boolean {
    const taken = isLimited ? this.#limited.size : this.#devices.size - this.#limited.size;
    return taken < this.#options.maxDevices;
  }

  #setTimers(device: string, timers: readonly Timer[]): void {
    if (timers.some(({ scope }) => scope !== undefined)) this.#limited.add(device);
    for (const timer of timers) timer.limitMs = this.#limitOf(timer, timers);
    this.#devices.set(device, timers);
  }

  #deadline(timer: Timer): number | undefined {
    const { limitMs } = timer;
    if (limitMs === undefined) return undefined;
    return this.#baseMs(timer).atMs + limitMs + this.#options.graceMs;
  }

  /** Since when it counts: the last reading, or a restart since. */
  #baseMs(timer: Timer): { readonly atMs: number; readonly isStart: boolean } {
    const limitMs = (timer.limitMs ?? 0) + this.#options.graceMs;
    let base = { atMs: timer.last.runMs, isStart: false };
    for (const atMs of this.#starts) {
      if (atMs >= base.atMs && atMs <= base.atMs + limitMs) base = { atMs, isStart: true };
    }
    return base;
  }

  /** Those of its device, new ones if it has none yet. */
  #timersOf({ device, topic }: LogRecord, last: Last): readonly Timer[] {
    const known = this.#devices.get(device);
    if (known !== undefined && this.#scopes.length === 0) return known;
    const missing = this.#scopes.filter(
      (scope) =>
        scope.hasDevice(device) &&
        known?.some((timer) => timer.scope === scope) !== true &&
        scope.hasTopic(topic),
    );
    const isNew = known === undefined;
    if (!isNew && missing.length === 0) return known;
    if (isNew && !this.#hasPlace(missing.length > 0)) {
      // Of no limit that is for another of its topics: nobody asked to hear of it.
      if (this.#options.learned || missing.length > 0) this.#unheard += 1;
      return [];
    }
    const scopes = [...(isNew && this.#options.learned ? [undefined] : []), ...missing];
    const added = scopes.map((scope) => newTimer(device, scope, last));
    if (isNew && added.length === 0) return [];
    const timers = [...(known ?? []), ...added];
    this.#setTimers(device, timers);
    return timers;
  }

  get changedBytes(): number {
    return this.#changed.size * USUAL_BYTES;
  }

  /** What changed since the last call, as it is to be stored; undefined deletes. */
  *snapshot(): Generator<[key: string, value: string | undefined]> {
    for (const key of this.#obsolete) yield [key, undefined];
    this.#obsolete = [];
    if (this.#startsChanged) yield [STARTS_KEY, JSON.stringify(this.#starts)];
    this.#startsChanged = false;
    for (const device of this.#changed) {
      const timers = (this.#devices.get(device) ?? []).map(stored);
      yield [PREFIX + encodeURIComponent(device), JSON.stringify(timers)];
    }
    this.#changed.clear();
  }

  /** Takes up what `snapshot` gave; what can't be read, or has no limit any more, is dropped. */
  restore(entries: ReadonlyMap<string, string>): void {
    this.#starts = numbersIn(entries.get(STARTS_KEY));
    for (const [key, text] of entries) {
      if (!key.startsWith(PREFIX)) continue;
      const timers = this.#restored(key, text);
      const [first] = timers;
      const isLimited = timers.some(({ scope }) => scope !== undefined);
      if (first === undefined || !this.#hasPlace(isLimited)) this.#obsolete.push(key);
      else this.#setTimers(first.device, timers);
    }
    for (const timers of this.#devices.values()) {
      for (const timer of timers) if (!timer.isSilent) this.#arm(timer);
    }
  }

  #restored(key: string, text: string): Timer[] {
    try {
      const device = decodeURIComponent(key.slice(PREFIX.length));
      return (JSON.parse(text) as StoredTimer[]).flatMap(({ limit, gaps = NO_GAPS, ...timer }) => {
        const scope = this.#scopes.find(({ name }) => name === limit);
        const isKnown = limit === undefined ? this.#options.learned : scope?.hasDevice(device);
        if (isKnown !== true || !isUsualGap(gaps) || !isSound(timer)) return [];
        return { ...timer, device, scope, gaps, limitMs: undefined, dueMs: undefined };
      });
    } catch {
      return [];
    }
  }
}

function numbersIn(text: string | undefined): number[] {
  try {
    const numbers = JSON.parse(text ?? '[]') as number[];
    return numbers.every(Number.isFinite) ? numbers : [];
  } catch {
    return [];
  }
}
