import type { RecordPosition } from '../base/reading.ts';
import type { LimitScope } from './limits.ts';
import { NO_GAPS, type UsualGap } from './usual-gap.ts';

export interface Last {
  readonly runMs: number;
  readonly wallMs: number;
  readonly cause: RecordPosition;
}

/** The timer of one device: the learned one, or that of a limit. */
export interface Timer {
  readonly device: string;
  readonly scope: LimitScope | undefined;
  last: Last;
  /** Of the learned one. */
  gaps: UsualGap;
  /** The reading from which the present gap is counted: bursts count as one. */
  gapRunMs: number;
  isSilent: boolean;
  /** After which it is silent, ms; none: nobody can say. */
  limitMs: number | undefined;
  /** When it is looked at next; none: it has no limit. */
  dueMs: number | undefined;
}

export interface StoredTimer {
  readonly limit?: string;
  readonly last: Last;
  readonly gaps?: UsualGap;
  readonly gapRunMs: number;
  readonly isSilent: boolean;
}

/** Of any version, or damaged: what is not sound is learnt afresh. */
export function isSound({ last, gapRunMs }: StoredTimer): boolean {
  const { cause, runMs, wallMs } = last;
  const numbers = [runMs, wallMs, gapRunMs, cause.partition, cause.offset];
  return typeof cause.stream === 'string' && numbers.every(Number.isFinite);
}

export function newTimer(device: string, scope: LimitScope | undefined, last: Last): Timer {
  const { runMs } = last;
  const never = { isSilent: false, limitMs: undefined, dueMs: undefined };
  return { device, scope, last, gaps: NO_GAPS, gapRunMs: runMs, ...never };
}

export function keyOf({ device, scope }: Timer): string {
  return `${device}/${scope?.name ?? ''}`;
}

export function stored({ scope, last, gaps, gapRunMs, isSilent }: Timer): StoredTimer {
  const of = scope === undefined ? { gaps } : { limit: scope.name };
  return { ...of, last, gapRunMs, isSilent };
}
