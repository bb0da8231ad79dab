import type { LogRecord, Sample } from '../base/reading.ts';

/** When a sample was taken, as far as that is known. */
export interface SampleTime {
  /** On the log's run clock, ms; never after its arrival. */
  readonly runMs: number;
  /** Arrival on the run clock. */
  readonly arrivedRunMs: number;
  /** By the wall clock as it stood at the arrival, ms since 1970. */
  readonly wallMs: number;
}

/** No gateway or device with this program was there before: its clock was never set. */
const CLOCK_SET_MS = Date.UTC(2024, 0, 1);

type Times = Pick<LogRecord, 'runMs' | 'receivedAtMs' | 'deviceTimeMs'>;

/** How long before its arrival; 0 where nobody says so, or no clock that says so can be right. */
function ageMs({ receivedAtMs, deviceTimeMs }: Times, sample: Sample): number {
  if (sample.fromArrivalMs !== undefined) return Math.max(0, -sample.fromArrivalMs);
  const timeMs = sample.timeMs ?? deviceTimeMs;
  if (timeMs === undefined || timeMs < CLOCK_SET_MS) return 0;
  return Math.max(0, receivedAtMs - timeMs);
}

/** The time of a sample: its own, else that of its message, else the arrival. */
export function sampleTime(record: Times, sample: Sample): SampleTime {
  const { runMs, receivedAtMs } = record;
  const age = ageMs(record, sample);
  return { runMs: runMs - age, arrivedRunMs: runMs, wallMs: receivedAtMs - age };
}
