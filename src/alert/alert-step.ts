import { ANOMALOUS_SCORE, SEVERITIES, type Severity, type Verdict } from '../base/verdict.ts';
import type { AlertEvent, Since } from './alert-event.ts';

/** When alerts begin and end. Times are ms of the run clock. */
export interface AlertRules {
  /** Score below which a value counts as calm: lower than that of an anomaly, for hysteresis. */
  readonly clearScore: number;
  /** Calm values in a row that end an alert, */
  readonly clearCount: number;
  /** and for how long they must have come. */
  readonly clearMs: number;
  /** After an end, how long no alert of the series begins. */
  readonly coolDownMs: number;
  /** How long an anomaly must have lasted before it is an alert. */
  readonly minDurationMs: Readonly<Record<Severity, number>>;
}

/**
 * Where the alert of a series stands. A series of which nothing is kept is idle. A cool-down that
 * is over is kept for as long as it has something held back to tell.
 */
export type SeriesState =
  | ({ readonly kind: 'pending'; readonly suppressed: number } & Since)
  | ActiveState
  | { readonly kind: 'cooling'; readonly untilRunMs: number; readonly suppressed: number };

/** `clearing` is active still: `calm` values in a row have come, from `calmRunMs` on. */
export type ActiveState = {
  readonly begun: AlertEvent;
  /** It began in a flood, which tells of it: the key of that. */
  readonly flood?: string;
} & (
  | { readonly kind: 'active' }
  | { readonly kind: 'clearing'; readonly calm: number; readonly calmRunMs: number }
);

/** What a verdict makes of a state. */
export type Step =
  | { readonly change: 'none'; readonly state: SeriesState | undefined }
  | ({ readonly change: 'begin'; readonly suppressed: number } & Since)
  /** It has turned out to be graver: it ends, and another one begins in its place. */
  | ({ readonly change: 'worsen'; readonly suppressed: 0 } & Since)
  | { readonly change: 'end'; readonly state: SeriesState };

/**
 * A message may hold many values. In the record that ends one alert no other one may begin: it
 * would have the id of the first, if that began in it too.
 */
export const LEAST_COOL_DOWN_MS = 0.5;

export function isActive(state: SeriesState | undefined): state is ActiveState {
  return state?.kind === 'active' || state?.kind === 'clearing';
}

function isAnomalous({ state, score }: Verdict): boolean {
  return state === 'anomalous' && score >= ANOMALOUS_SCORE;
}

/** pending → active → clearing → cooling → idle. Pure. */
export function step(
  state: SeriesState | undefined,
  verdict: Verdict,
  rules: AlertRules,
  severity: Severity,
): Step {
  if (isActive(state)) return stepOfActive(state, verdict, rules, severity);
  if (state?.kind === 'pending') {
    if (verdict.score < rules.clearScore) return idle(state.suppressed, verdict);
    return isAnomalous(verdict) ? beginOrWait(state, verdict, rules, severity) : none(state);
  }
  if (state?.kind === 'cooling' && verdict.atRunMs < state.untilRunMs) {
    if (!isAnomalous(verdict)) return none(state);
    return none({ ...state, suppressed: state.suppressed + 1 });
  }
  const suppressed = state?.suppressed ?? 0;
  if (!isAnomalous(verdict)) return none(suppressed === 0 ? undefined : state);
  const since = { sinceMs: verdict.receivedAtMs, sinceRunMs: verdict.atRunMs };
  return beginOrWait({ kind: 'pending', suppressed, ...since }, verdict, rules, severity);
}

const none = (state: SeriesState | undefined): Step => ({ change: 'none', state });

/** What came to nothing; what was held back before it is still to be told. */
function idle(suppressed: number, { atRunMs }: Verdict): Step {
  if (suppressed === 0) return none(undefined);
  return none({ kind: 'cooling', untilRunMs: atRunMs, suppressed });
}

function beginOrWait(
  pending: SeriesState & { readonly kind: 'pending' },
  { atRunMs }: Verdict,
  { minDurationMs }: AlertRules,
  severity: Severity,
): Step {
  if (atRunMs - pending.sinceRunMs < minDurationMs[severity]) return none(pending);
  const { suppressed, sinceMs, sinceRunMs } = pending;
  return { change: 'begin', suppressed, sinceMs, sinceRunMs };
}

function isGraver(severity: Severity, { severity: before }: AlertEvent): boolean {
  return SEVERITIES.indexOf(severity) > SEVERITIES.indexOf(before);
}

/**
 * By a reading of its own: a message may hold many values, and what begins and worsens in one
 * record would have one name twice.
 */
function canWorsen({ begun }: ActiveState, { cause, atRunMs }: Verdict, leastMs: number): boolean {
  const { partition, offset } = begun.cause;
  const isOther = cause.partition !== partition || cause.offset !== offset;
  return isOther && atRunMs - begun.sinceRunMs >= leastMs;
}

function stepOfActive(
  state: ActiveState,
  verdict: Verdict,
  rules: AlertRules,
  severity: Severity,
): Step {
  const { begun, flood } = state;
  if (isAnomalous(verdict) && isGraver(severity, begun)) {
    const { sinceMs, sinceRunMs } = begun;
    if (canWorsen(state, verdict, rules.minDurationMs[severity])) {
      return { change: 'worsen', suppressed: 0, sinceMs, sinceRunMs };
    }
  }
  const same = { begun, ...(flood === undefined ? {} : { flood }) };
  if (verdict.score >= rules.clearScore) {
    return none(state.kind === 'active' ? state : { kind: 'active', ...same });
  }
  const { atRunMs } = verdict;
  const isClearing = state.kind === 'clearing';
  const calm = isClearing ? state.calm + 1 : 1;
  const calmRunMs = isClearing ? state.calmRunMs : atRunMs;
  if (calm < rules.clearCount || atRunMs - calmRunMs < rules.clearMs) {
    return none({ kind: 'clearing', ...same, calm, calmRunMs });
  }
  const untilRunMs = atRunMs + Math.max(rules.coolDownMs, LEAST_COOL_DOWN_MS);
  return { change: 'end', state: { kind: 'cooling', untilRunMs, suppressed: 0 } };
}
