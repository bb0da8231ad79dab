import { topicLevel } from '../base/topic-level.ts';
import type { SeriesWindows } from './series-windows.ts';
import type { SeriesState } from './windows.ts';

/** A series as programs get it, over HTTP and MQTT: docs/state.md. */
export interface StateJson {
  readonly device: string;
  readonly metric: string;
  /** How much of detection's warm-up is over, 0 to 1; absent where nobody knows just now. */
  readonly learned?: number;
  readonly last: {
    readonly value: number;
    /** By the wall clock as it stood then, ms since 1970. */
    readonly at: number;
    /** By the run clock. */
    readonly ageMs: number;
  };
  readonly windows?: SeriesWindows;
  readonly late: number;
}

export function stateJson(state: SeriesState, nowRunMs: number): StateJson {
  const { device, metric, last, windows, late } = state;
  const at = Math.round(last.wallMs);
  const ageMs = Math.max(0, Math.round(nowRunMs - last.runMs));
  const more = windows === undefined ? {} : { windows };
  return { device, metric, last: { value: last.value, at, ageMs }, ...more, late };
}

export function stateTopic(device: string, metric: string): string {
  return `headgate/state/${topicLevel(device)}/${topicLevel(metric)}`;
}
