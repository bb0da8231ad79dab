import type { RecordPosition } from './reading.ts';

/** What an anomaly looks most like. */
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

/** From the mildest to the gravest. */
export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What detection says of one value. Names are well-formed text. */
export interface Verdict {
  readonly device: string;
  readonly metric: string;
  readonly value: number;
  /**
   * 0 to 1: how sure; 0.5 and above is an anomaly. 0 while learning. High for as long as the
   * anomaly lasts.
   */
  readonly score: number;
  /** The learned band at this hour; ±`Number.MAX_VALUE`: no bound. */
  readonly expectedLow: number;
  readonly expectedHigh: number;
  readonly state: 'learning' | 'normal' | 'anomalous';
  /** 0 to 1: how much of the warm-up is over. */
  readonly learned: number;
  /** Of an anomaly. */
  readonly fault?: Fault;
  /** One value in about so many is as unusual; absent where it is not known (limits, silence). */
  readonly oneIn?: number;
  /** Run clock at which it began, where that was before: the first of equal values, say. */
  readonly sinceRunMs?: number;
  /** The plain limit that was passed: what a person wrote. Its severity stands in the limit. */
  readonly limit?: { readonly name: string; readonly severity: Severity };
  /** Run clock of the reading, ms. */
  readonly atRunMs: number;
  readonly receivedAtMs: number;
  readonly cause: RecordPosition;
}

/** Score from which a verdict is an anomaly. */
export const ANOMALOUS_SCORE = 0.5;
