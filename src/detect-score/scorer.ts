/**
 * Gives the values of one series a score each, in their order, as they come: a high one is an
 * anomaly. Of one event the first value has the score and those after it have 0, so that it counts
 * once.
 */
export interface Scorer {
  /** 0 to 1; any finite value, `seconds` on a clock that may jump. */
  score(value: number, seconds: number): number;
}

/** Rows of a series that belong to one anomaly: the first and the last. */
export interface RowWindow {
  readonly from: number;
  readonly to: number;
}

/** A series whose anomalies are known. */
export interface LabelledSeries {
  readonly name: string;
  readonly seconds: Float64Array;
  readonly values: Float64Array;
  /** In order, and apart. */
  readonly windows: readonly RowWindow[];
}

export interface ScoredSeries {
  readonly series: LabelledSeries;
  /** One a row. */
  readonly scores: Float64Array;
}

export function scored(series: LabelledSeries, scorer: Scorer): ScoredSeries {
  const { values, seconds } = series;
  return { series, scores: values.map((value, i) => scorer.score(value, seconds[i] ?? 0)) };
}
