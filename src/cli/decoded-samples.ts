import type { LogRecord, Sample } from '../base/reading.ts';
import { loadDecoder } from '../decode/load-decoder.ts';
import { SampleReader } from '../decode/sample-reader.ts';
import type { Io, Values } from './command.ts';
import { chosenRecords, type TimedRecord } from './read-range.ts';
import { readSettings } from './settings.ts';

/** When it was measured, by its own word or the device's, else when it came; ms since 1970. */
function timeOfSample({ timeMs, fromArrivalMs }: Sample, arrived: TimedRecord): number {
  if (timeMs !== undefined) return timeMs;
  if (fromArrivalMs !== undefined) return Math.round(arrived.timeMs + fromArrivalMs);
  return arrived.record.deviceTimeMs ?? Math.round(arrived.timeMs);
}

function lineOf(sample: Sample, arrived: TimedRecord): string {
  const { stream, partition, offset, device }: LogRecord = arrived.record;
  const { metric, value } = sample;
  const time = timeOfSample(sample, arrived);
  return JSON.stringify({ stream, partition, offset, device, metric, value, time });
}

/**
 * The samples in the records that a command line asks for, each a line. Read as the configuration
 * says now, whatever it said when they came. Throws USAGE, STREAM_UNKNOWN, and what is wrong with
 * the configuration.
 */
export async function* sampleLines(values: Values, stream: string, io: Io): AsyncGenerator<string> {
  const { config, file } = await readSettings(values, io.env);
  // Headgate's own streams hold JSON.
  const { format, metrics } = config.streams[stream] ?? { format: 'auto', metrics: [] };
  const reader = new SampleReader(await loadDecoder({ format, metrics }));
  let [records, printed] = [0, 0];
  for await (const arrived of chosenRecords(values, stream, io)) {
    const samples = reader.read(arrived.record);
    records += 1;
    printed += samples.length;
    for (const sample of samples) yield lineOf(sample, arrived);
  }
  // An empty answer to a wrong format would pass for an empty stream.
  if (records === 0 || printed > 0) return;
  io.complain(`headgate: of ${records} records none has a sample in format ${format}`);
  if (file === undefined) io.complain('  Name the configuration of the daemon with --config.');
}
