/** So many samples, a second apart. */
const SAMPLES = 30;
export const SAMPLE_MS = 1_000;

/** How quickly a counter goes up, over the last half minute: it is looked at once a second. */
export class DrainMeter {
  /** The last ones, the oldest first. */
  readonly #samples: Array<{ readonly count: number; readonly monoMs: number }> = [];

  sample(count: number, monoMs: number): void {
    this.#samples.push({ count, monoMs });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  /** A second; 0 until there are two samples. */
  get perSecond(): number {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.monoMs <= first.monoMs) return 0;
    return ((last.count - first.count) / (last.monoMs - first.monoMs)) * 1000;
  }
}
