export const PATTERN_KINDS = ['steady', 'blink', 'pulse'] as const;

/** How a line shows that there is an alert. */
export interface Pattern {
  /**
   * `steady`: active all the time. `blink`: active for `onMs` and inactive for `offMs`, in turn.
   * `pulse`: active for `onMs`, once for each alert that begins.
   */
  readonly kind: (typeof PATTERN_KINDS)[number];
  readonly onMs: number;
  readonly offMs: number;
}

export interface PatternLevel {
  readonly active: boolean;
  /** For how much longer, in ms; undefined: for good. */
  readonly forMs?: number;
}

/** The level of a pattern, `sinceMs` after its beginning. Pure. */
export function levelAt({ kind, onMs, offMs }: Pattern, sinceMs: number): PatternLevel {
  if (kind === 'steady') return { active: true };
  if (kind === 'pulse') {
    return sinceMs < onMs ? { active: true, forMs: onMs - sinceMs } : { active: false };
  }
  const period = onMs + offMs;
  const within = sinceMs % period;
  if (within < onMs) return { active: true, forMs: onMs - within };
  return { active: false, forMs: period - within };
}

export function patternText({ kind, onMs, offMs }: Pattern): string {
  if (kind === 'steady') return 'steady';
  return kind === 'blink' ? `blink, ${onMs} ms on, ${offMs} ms off` : `pulse of ${onMs} ms`;
}
