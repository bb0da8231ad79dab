import type { RecordPosition } from './reading.ts';
export const FAULTS = [
  'spike',
  'shift',
  'drift',
  'noise',
  'stuck',
  'range',
  'rate',
  'silence',
  'unusual',
] as const;
export type Fault = (typeof FAULTS)[number];
/** What detection says of one value. Names are well-formed text. */
export interface Verdict {
  readonly device: string;
  readonly metric: string;
  readonly value: number;
  /** Robust distance from what is ordinary; 0 while learning. */
  readonly score: number;
  readonly expectedLow: number;
  readonly expectedHigh: number;
  readonly state: 'learning' | 'normal' | 'anomalous';
  /** Run clock of the reading, ms. */
  readonly atRunMs: number;
  readonly receivedAtMs: number;
  readonly cause: RecordPosition;
}
