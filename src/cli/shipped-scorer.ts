import { AlertStates } from '../alert/alert-state.ts';
import { silentLogger } from '../base/logger.ts';
import type { LogRecord } from '../base/reading.ts';
import { Detector } from '../detect/detector.ts';
import type { Scorer } from '../detect-score/scorer.ts';
import type { Config } from '../ops/config.ts';
import { loadConfig } from '../ops/load-config.ts';

/** The detector as it is shipped, for scoring: with the settings that nobody has changed. */
export interface ShippedDetector {
  /** Score from which a value is an anomaly. */
  readonly threshold: number;
  /** For one series, from its first value on. */
  scorer(): Scorer;
}

const STREAM = 'scored';
const DEVICE = 'scored';
const TOPIC = `sensors/${DEVICE}/value`;
const EMPTY = new Uint8Array(0);
/** Where a distance without an upper end becomes half of 1: at the threshold. */
const THRESHOLD = 0.5;

/** Through records, so that what is scored is what watches the readings. */
class RecordScorer implements Scorer {
  readonly #detector: Detector;
  readonly #states: AlertStates;
  readonly #threshold: number;
  #offset = 0;
  #startSeconds: number | undefined;
  /** The run clock goes forward only. */
  #runMs = 0;

  constructor(detect: Config['detect']) {
    this.#detector = new Detector({ ...detect, logger: silentLogger });
    this.#states = new AlertStates({ ...detect, log: STREAM });
    this.#threshold = detect.threshold;
  }

  #record(value: number, seconds: number): LogRecord {
    this.#startSeconds ??= seconds;
    this.#runMs = Math.max(this.#runMs, (seconds - this.#startSeconds) * 1_000);
    const [runMs, offset] = [this.#runMs, this.#offset];
    this.#offset += 1;
    return {
      device: DEVICE,
      topic: TOPIC,
      payload: EMPTY,
      value,
      stream: STREAM,
      partition: 0,
      offset,
      monoMs: runMs,
      runMs,
      receivedAtMs: seconds * 1_000,
      boot: '00',
    };
  }

  score(value: number, seconds: number): number {
    const [verdict] = this.#detector.observe(this.#record(value, seconds));
    if (verdict === undefined) return 0;
    const event = this.#states.observe(verdict);
    if (verdict.state === 'anomalous' && event?.kind !== 'begin') return 0;
    return verdict.score / (verdict.score + this.#threshold);
  }
}

export function shippedDetector(): ShippedDetector {
  const loaded = loadConfig({ text: '', env: {} });
  if (!loaded.ok) throw new Error('the embedded default is not sound');
  const { detect } = loaded.config;
  return {
    threshold: THRESHOLD,
    scorer: () => new RecordScorer(detect),
  };
}
