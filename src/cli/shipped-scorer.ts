import { ANOMALOUS_SCORE } from '../base/verdict.ts';
import { SeriesDetector } from '../detect/series-detector.ts';
import type { Scorer } from '../detect-score/scorer.ts';

/** The detector as it is shipped, for scoring: what watches each series of the daemon. */
export interface ShippedDetector {
  /** Score from which a value is the onset of an anomaly. */
  readonly threshold: number;
  /** For one series, from its first value on. */
  scorer(): Scorer;
}

export function shippedDetector(): ShippedDetector {
  return {
    threshold: ANOMALOUS_SCORE,
    scorer: () => {
      const detector = new SeriesDetector();
      return { score: (value, seconds) => detector.observe(value, seconds).onset };
    },
  };
}
