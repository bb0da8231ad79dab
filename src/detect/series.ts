import { RollingBaseline } from './rolling-baseline.ts';

/**
 * What has been learnt of one series. Pure: what it says depends on the values that it was given,
 * and one that was saved and restored says and saves the same as one that never was.
 */
export interface SeriesState {
  /** Its own bytes: nobody else changes them, and they do not change when it goes on learning. */
  save(): Uint8Array;
}

/** How states are made. */
export interface SeriesKind<S extends SeriesState> {
  fresh(): S;
  /** The inverse of `save`; undefined for bytes that it can't read. Never throws. */
  restore(bytes: Uint8Array): S | undefined;
}

const utf8 = new TextDecoder();

/** A baseline, as a state: JSON in UTF-8. */
export class BaselineSeries implements SeriesState {
  readonly baseline: RollingBaseline;

  constructor(baseline: RollingBaseline = new RollingBaseline()) {
    this.baseline = baseline;
  }

  save(): Uint8Array {
    // Not a piece of a pool: it would hold the whole of that.
    return new Uint8Array(Buffer.from(JSON.stringify(this.baseline.save())));
  }

  static fresh(): BaselineSeries {
    return new BaselineSeries();
  }

  static restore(bytes: Uint8Array): BaselineSeries | undefined {
    try {
      const baseline = RollingBaseline.restore(JSON.parse(utf8.decode(bytes)));
      return baseline === undefined ? undefined : new BaselineSeries(baseline);
    } catch {
      return undefined;
    }
  }
}
