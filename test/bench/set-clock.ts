import type { Clock } from '../../src/base/clock.ts';

/** A Monday at midnight. */
const START_MS = Date.UTC(2026, 0, 5);

/** A clock that stands still until it is moved: days of readings are made in a minute. */
export class SetClock implements Clock {
  nowMs = 0;
  readonly wallMs = () => START_MS + this.nowMs;
  readonly monoMs = () => this.nowMs;
}
