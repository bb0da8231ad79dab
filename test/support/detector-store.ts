import type { LogRecord } from '../../src/base/reading.ts';
import type { Verdict } from '../../src/base/verdict.ts';
import type { Detector, DetectorSnapshot } from '../../src/detect/detector.ts';
import type { ReadStates } from '../../src/detect/series-table.ts';

/** What a detector stores, in memory. */
export class DetectorStore {
  readonly entries = new Map<string, string>();
  readonly states = new Map<string, Uint8Array>();
  readonly read: ReadStates = async (keys) => keys.map((key) => this.states.get(key));
  fetched = 0;

  /** Names of what is stored or deleted by a checkpoint of now: states, and entries. */
  save(detector: Detector): string[] {
    return this.finish(detector.snapshot(), true);
  }

  /** One write of those that come before the end. */
  storePart({ parts }: DetectorSnapshot): string[] {
    const { value: part, done } = parts.next();
    if (done === true) return [];
    for (const [key, value] of part) this.states.set(key, value);
    return [...part.keys()];
  }

  finish(snapshot: DetectorSnapshot, isStored: boolean): string[] {
    const touched: string[] = [];
    for (;;) {
      const keys = this.storePart(snapshot);
      if (keys.length === 0) break;
      touched.push(...keys);
    }
    if (isStored) {
      const { index, states } = snapshot.ending();
      for (const [key, value] of [...snapshot.entries, ...index]) {
        if (value === undefined) this.entries.delete(key);
        else this.entries.set(key, value);
        touched.push(key);
      }
      for (const key of states.keys()) this.states.delete(key);
    }
    snapshot.done(isStored);
    return touched;
  }

  /** As the watcher does it. */
  async watch(detector: Detector, records: readonly LogRecord[]): Promise<Verdict[]> {
    const verdicts: Verdict[] = [];
    for (const record of records) {
      const measured = detector.measure(record);
      const evicted = new Set(detector.evicted(measured));
      this.fetched += evicted.size;
      if (evicted.size > 0) await detector.fetch(evicted, this.read);
      verdicts.push(...detector.judge(measured));
      detector.trim();
    }
    return verdicts;
  }
}
