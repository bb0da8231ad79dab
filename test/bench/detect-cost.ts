import { seededRandom, systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { LogRecord } from '../../src/base/reading.ts';
import { Detector } from '../../src/detect/detector.ts';
import { SeriesDetector } from '../../src/detect/series-detector.ts';
import { openAlarms } from '../../src/open-alarms.ts';
import type { Config } from '../../src/ops/config.ts';

/** What detection costs, in µs a reading whose payload is parsed already. */

const MANY = 10_000;
const SLICES = 10;
const SLICE = 100_000;
const DAY_SECONDS = 86_400;

/** Readings of so many devices in turn, one a second from each: a day's wave and noise. */
function* readings(devices: number): Generator<LogRecord> {
  const random = seededRandom(1);
  const payload = new Uint8Array(0);
  for (let offset = 0; ; offset++) {
    const device = `d${offset % devices}`;
    const seconds = offset / devices;
    const wave = 3 * Math.sin((2 * Math.PI * seconds) / DAY_SECONDS);
    const value = Math.round((20 + wave + random()) * 100) / 100;
    const runMs = seconds * 1_000;
    yield {
      ...{ device, topic: `sensors/${device}/t`, payload, value, boot: '00' },
      ...{ stream: 'readings', partition: 0, offset, runMs, monoMs: runMs },
      receivedAtMs: 1_795_528_656_303 + runMs,
    };
  }
}

/** µs a reading, slice by slice; what makes the readings is not counted. */
function slicesOf(config: Config, devices: number, slices: number): number[] {
  const detector = new Detector({ ...config.detect, maxSeries: devices, logger: silentLogger });
  const alarms = openAlarms(config, { log: 'bench', stream: 'readings' });
  const source = readings(devices);
  return Array.from({ length: slices }, () => {
    const records = Array.from({ length: SLICE }, () => source.next().value as LogRecord);
    const startMs = systemClock.monoMs();
    for (const record of records) {
      alarms.observe(record, detector.observe(record));
    }
    return ((systemClock.monoMs() - startMs) * 1_000) / SLICE;
  });
}

/** The same of the detectors alone: no names, verdicts or alerts. */
function detectorSlices(series: number, slices: number): number[] {
  const detectors = Array.from({ length: series }, () => new SeriesDetector());
  const source = readings(series);
  return Array.from({ length: slices }, () => {
    const values = new Float64Array(SLICE);
    const times = new Float64Array(SLICE);
    for (let i = 0; i < SLICE; i++) {
      const { value, receivedAtMs } = source.next().value as LogRecord;
      values[i] = Number(value);
      times[i] = receivedAtMs / 1_000;
    }
    const startMs = systemClock.monoMs();
    for (let i = 0; i < SLICE; i++) {
      detectors[i % series]?.observe(values[i] as number, times[i] as number);
    }
    return ((systemClock.monoMs() - startMs) * 1_000) / SLICE;
  });
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

const micros = (cost: number) => cost.toFixed(2);

export function costLines(config: Config): string[] {
  const alone = detectorSlices(1, SLICES);
  const manyAlone = detectorSlices(MANY, SLICES);
  const hot = slicesOf(config, 1, SLICES);
  const many = slicesOf(config, MANY, SLICES);
  return [
    `detector, one series:          ${micros(median(alone))} µs a reading`,
    `detector, ${MANY} in turn:       ${micros(median(manyAlone))} µs a reading`,
    `detector, ${SLICES} times ${SLICE}:     ${alone.map(micros).join(' ')}`,
    `stage, one series:             ${micros(median(hot))} µs a reading`,
    `stage, ${MANY} in turn:          ${micros(median(many))} µs a reading`,
    `stage, ${SLICES} times ${SLICE}:        ${hot.map(micros).join(' ')}`,
    'The stage is names, detector, verdict, limits, silence and alerts.',
  ];
}
