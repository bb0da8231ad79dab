import { SEVERITIES, type Verdict } from '../base/verdict.ts';
import {
  type AlertEvent,
  type AlertSeries,
  endOf,
  eventId,
  isSoundBeginning,
  keyOf,
  MAX_NAMES,
} from './alert-event.ts';
import { LEAST_COOL_DOWN_MS } from './alert-step.ts';

export interface FloodRules {
  /** Alerts of one device, or devices that fall silent, within `windowMs` that come one by one. */
  readonly maxAlerts: number;
  /** ms of the run clock. */
  readonly windowMs: number;
}

export interface FloodOptions extends FloodRules {
  readonly log: string;
  /** How long all must have been calm before the flood of a device ends. */
  readonly coolDownMs: number;
}

/** How many it stands for, and how many of them last. */
export interface FloodCount {
  readonly count: number;
  readonly open: number;
}

interface Flood extends FloodCount {
  readonly begun: AlertEvent;
  /** Since when none lasts. */
  readonly quietRunMs?: number;
}

/** What was told by itself, lately. */
interface Recent {
  readonly name: string;
  readonly atRunMs: number;
}

export interface Beginnings {
  readonly events: readonly AlertEvent[];
  /** Whatever came before, they are too many to be told one by one. */
  readonly isFlood?: boolean;
  /** See `eventId`. */
  readonly from?: number | undefined;
}

export interface Flooded {
  readonly key: string;
  readonly event?: AlertEvent;
}

const FLOOD_PREFIX = 'alert/flood/';
const RECENT_PREFIX = 'alert/recent/';

const SITE = 'site';

function floodOf({ device, severity, fault }: AlertEvent): AlertSeries {
  if (fault === 'silence') return { device: SITE, metric: 'silence', source: `site:${severity}` };
  return { device, metric: 'flood', source: `flood:${severity}` };
}

/**
 * Many alerts at once are one: of a device that has gone mad, or of a site whose devices fall
 * silent together. The first few of a device are told by themselves, what follows within the
 * window begins a flood or joins it. Apart by severity, so that nothing grave goes under.
 */
export class Floods {
  readonly #options: FloodOptions;
  readonly #floods = new Map<string, Flood>();
  readonly #recent = new Map<string, readonly Recent[]>();
  /** Of floods of which none lasts, by device. */
  readonly #quiet = new Map<string, Set<string>>();
  readonly #changed = new Set<string>();

  constructor(options: FloodOptions) {
    this.#options = options;
  }

  active(): AlertEvent[] {
    return [...this.#floods.values()].map(({ begun }) => begun);
  }

  has(key: string): boolean {
    return this.#floods.has(key);
  }

  /** By the id of its beginning. */
  countOf(id: string): FloodCount | undefined {
    for (const { begun, count, open } of this.#floods.values()) {
      if (begun.id === id) return { count, open };
    }
    return undefined;
  }

  /**
   * Alerts of one device, or of silent devices, that begin at one time: each is told, or at most
   * one `event` is, and all are of the flood `key`.
   */
  begin({ events, isFlood, from }: Beginnings): Flooded | undefined {
    const [first] = events;
    if (first === undefined) return undefined;
    const series = floodOf(first);
    const key = keyOf(series);
    const flood = this.#floods.get(key);
    if (flood !== undefined) {
      const { quietRunMs: _, begun } = flood;
      const [count, open] = [flood.count + events.length, flood.open + events.length];
      this.#set(key, { begun, count, open });
      return { key };
    }
    const { log, maxAlerts, windowMs } = this.#options;
    const { atRunMs, cause } = first;
    const recent = (this.#recent.get(key) ?? []).filter((one) => one.atRunMs > atRunMs - windowMs);
    const count = recent.length + events.length;
    const names = events.map((event) => (series.device === SITE ? event.device : event.metric));
    if (!isFlood && count <= maxAlerts) {
      this.#setRecent(key, [...recent, ...names.map((name) => ({ name, atRunMs }))]);
      return undefined;
    }
    this.#setRecent(key, undefined);
    const all = [...new Set([...recent.map(({ name }) => name), ...names])];
    const id = eventId('begin', series, { log, cause, from });
    const event = { ...first, ...series, id, count, names: all.slice(0, MAX_NAMES) };
    this.#set(key, { begun: event, count, open: events.length });
    return { key, event };
  }

  /** One of a flood has ended. Returns the end of the flood, if it was the last of a site's. */
  leave(key: string, verdict: Verdict): AlertEvent | undefined {
    const flood = this.#floods.get(key);
    if (flood === undefined) return undefined;
    const left = { ...flood, open: flood.open - 1 };
    if (left.open > 0) {
      this.#set(key, left);
      return undefined;
    }
    if (flood.begun.source.startsWith('site:')) return this.#end(key, left, verdict);
    this.#set(key, { ...left, quietRunMs: verdict.atRunMs });
    return undefined;
  }

  /** The floods of its device that have been calm for long enough end. */
  settle(verdict: Verdict): AlertEvent[] {
    const keys = this.#quiet.get(verdict.device);
    if (keys === undefined) return [];
    const coolDownMs = Math.max(this.#options.coolDownMs, LEAST_COOL_DOWN_MS);
    return [...keys].flatMap((key) => {
      const flood = this.#floods.get(key);
      const { quietRunMs } = flood ?? {};
      if (flood === undefined || quietRunMs === undefined) return [];
      return verdict.atRunMs < quietRunMs + coolDownMs ? [] : this.#end(key, flood, verdict);
    });
  }

  #end(key: string, { begun, count }: Flood, verdict: Verdict): AlertEvent {
    this.forget(key);
    return { ...endOf(this.#options.log, begun, verdict), count };
  }

  /** One of a flood is not watched any more. */
  drop(key: string): void {
    const flood = this.#floods.get(key);
    if (flood === undefined) return;
    const open = flood.open - 1;
    if (open > 0) this.#set(key, { ...flood, open });
    else if (flood.begun.source.startsWith('site:')) this.forget(key);
    else this.#set(key, { ...flood, open, quietRunMs: flood.begun.atRunMs });
  }

  /** A series of the device is not watched any more: what was told lately is about others. */
  dropRecent(device: string): void {
    for (const severity of SEVERITIES) {
      const key = keyOf({ device, metric: 'flood', source: `flood:${severity}` });
      if (this.#recent.has(key)) this.#setRecent(key, undefined);
    }
  }

  forget(key: string): void {
    this.#set(key, undefined);
  }

  #set(key: string, flood: Flood | undefined): void {
    const device = (flood ?? this.#floods.get(key))?.begun.device ?? '';
    if (flood === undefined) this.#floods.delete(key);
    else this.#floods.set(key, flood);
    this.#changed.add(FLOOD_PREFIX + key);
    this.#noteQuiet(device, key, flood?.quietRunMs !== undefined);
  }

  #noteQuiet(device: string, key: string, isQuiet: boolean): void {
    const keys = this.#quiet.get(device) ?? new Set();
    if (isQuiet) this.#quiet.set(device, keys.add(key));
    else if (keys.delete(key) && keys.size === 0) this.#quiet.delete(device);
  }

  #setRecent(id: string, recent: readonly Recent[] | undefined): void {
    if (recent === undefined) this.#recent.delete(id);
    else this.#recent.set(id, recent);
    this.#changed.add(RECENT_PREFIX + id);
  }

  /** As `AlertStates.snapshot`. */
  *snapshot(): Generator<[key: string, value: string | undefined]> {
    for (const key of this.#changed) {
      const value = key.startsWith(FLOOD_PREFIX)
        ? this.#floods.get(key.slice(FLOOD_PREFIX.length))
        : this.#recent.get(key.slice(RECENT_PREFIX.length));
      yield [key, value === undefined ? undefined : JSON.stringify(value)];
    }
    this.#changed.clear();
  }

  /** As `AlertStates.restore`. */
  restore(entries: ReadonlyMap<string, string>): string[] {
    const unreadable: string[] = [];
    for (const [key, text] of entries) {
      try {
        if (key.startsWith(RECENT_PREFIX)) {
          const recent = JSON.parse(text) as Recent[];
          if (!recent.every(({ atRunMs }) => typeof atRunMs === 'number')) throw new Error(key);
          this.#recent.set(key.slice(RECENT_PREFIX.length), recent);
        } else if (key.startsWith(FLOOD_PREFIX)) {
          const flood = JSON.parse(text) as Flood;
          if (!isSoundBeginning(flood.begun) || !(flood.open >= 0)) throw new Error(key);
          const known = key.slice(FLOOD_PREFIX.length);
          this.#floods.set(known, flood);
          this.#noteQuiet(flood.begun.device, known, flood.quietRunMs !== undefined);
        }
      } catch {
        unreadable.push(key);
      }
    }
    return unreadable;
  }
}
