import type { AlertEvent, AlertSeries } from './alert/alert-event.ts';
import type { AlertStates } from './alert/alert-state.ts';
import type { FloodCount } from './alert/floods.ts';
import type { LogRecord } from './base/reading.ts';
import type { Verdict } from './base/verdict.ts';
import type { Limits } from './detect/limits.ts';
import type { Fallen, Silence } from './detect/silence.ts';

export interface AlarmsOptions {
  readonly states: AlertStates;
  readonly limits: Limits;
  readonly silence: Silence;
}

/**
 * All that raises alerts of one stream: what detection has learned, plain limits, silence. What it
 * says depends on the readings and moments that it is told, in their order.
 */
export class Alarms {
  readonly #open: () => AlarmsOptions;
  #parts: AlarmsOptions;

  /** `open`: new ones, that know nothing yet. */
  constructor(open: () => AlarmsOptions) {
    this.#open = open;
    this.#parts = open();
  }

  /** A reading, and what detection says of its values. */
  observe(record: LogRecord, learned: readonly Verdict[]): AlertEvent[] {
    const { fallen, heard } = this.#parts.silence.observe(record);
    return [
      ...this.#fall(fallen),
      ...heard.flatMap((verdict) => this.#parts.states.heard(verdict)),
      ...learned.flatMap((verdict) => this.#parts.states.observe(verdict)),
      ...this.#parts.limits
        .observe(record, learned)
        .flatMap((verdict) =>
          this.#parts.states.observe(verdict, `limit:${verdict.limit?.name ?? ''}`),
        ),
    ];
  }

  /** The time is `runMs`, and every reading that came before it has been told. */
  advance(runMs: number, wallMs: number): AlertEvent[] {
    return this.#fall(this.#parts.silence.advance(runMs, wallMs));
  }

  #fall(groups: ReadonlyArray<readonly Fallen[]>): AlertEvent[] {
    if (groups.length === 0) return [];
    const { armed } = this.#parts.silence;
    return groups.flatMap((fallen) => this.#parts.states.silent(fallen, armed));
  }

  /** What was read again after a start is over, at this moment of the run clock. */
  restarted(runMs: number): void {
    this.#parts.silence.restarted(runMs);
  }

  /** Only with it does anything need to be told the time. */
  get needsTime(): boolean {
    return !this.#parts.silence.isOff;
  }

  /** Readings of devices whose silence is not looked for, since there are too many. */
  get unheard(): number {
    return this.#parts.silence.unheard;
  }

  active(): AlertEvent[] {
    return this.#parts.states.active();
  }

  countOf(id: string): FloodCount | undefined {
    return this.#parts.states.countOf(id);
  }

  forget(series: AlertSeries): void {
    this.#parts.states.forget(series);
  }

  get changedBytes(): number {
    return this.#parts.limits.changedBytes + this.#parts.silence.changedBytes;
  }

  *snapshot(): Generator<[key: string, value: string | undefined]> {
    yield* this.#parts.limits.snapshot();
    yield* this.#parts.silence.snapshot();
    yield* this.#parts.states.snapshot();
  }

  /**
   * Takes up what `snapshot` gave, in place of all it knows. `isLearned`: detection has a place for
   * the series. Returns the keys of alerts that can't be read.
   */
  restore(
    entries: ReadonlyMap<string, string>,
    isLearned: (device: string, metric: string) => boolean,
  ): string[] {
    this.#parts = this.#open();
    this.#parts.limits.restore(entries);
    this.#parts.silence.restore(entries);
    const unreadable = this.#parts.states.restore(entries);
    // Of series that no longer have a place, say: nothing would ever end their alerts.
    this.#parts.states.forgetUnwatched(({ device, metric, source }) => {
      const [kind, name = ''] = source.split(':');
      if (kind === 'silence')
        return this.#parts.silence.watches(device, name === '' ? undefined : name);
      const isPlace = isLearned(device, metric);
      return kind === 'limit'
        ? isPlace && this.#parts.limits.watches(name, { device, metric })
        : isPlace;
    });
    return unreadable;
  }
}
