import { HeadgateError } from '../base/errors.ts';
import { offsetsAtTime } from '../log/find-positions.ts';
import { logName } from '../log/format.ts';
import { earliestOffsets } from '../log/log-reader.ts';
import { nodeFiles } from '../os/node-files.ts';
import { type Io, textValue, type Values, whole } from './command.ts';
import { type TimedRecord, timeInText, timeOption } from './read-range.ts';
import { readSettings } from './settings.ts';
import { endOffsets, type OpenStream, openStream } from './stores.ts';

/** Which part of a stream a replay reads, and what of it it shows. */

/** A place as it is typed; `earliest` is offset 0. */
type Position = { readonly offset: number } | { readonly timeMs: number };

/** Throws USAGE. */
async function positionOf(name: string, text: string, { times }: OpenStream): Promise<Position> {
  if (text === 'earliest') return { offset: 0 };
  if (/^\d+$/.test(text)) return { offset: whole(name, text) };
  const timeMs = await timeInText(text, times);
  if (timeMs !== undefined) return { timeMs };
  throw new HeadgateError(
    'USAGE',
    `--${name}: ${text} is none of these: earliest, an offset (4711), ` +
      'a time (2026-05-04T12:00:00Z), how long ago (2h)',
  );
}

interface Places extends OpenStream {
  readonly stream: string;
  /** The next offset of each partition. */
  readonly ends: readonly number[];
}

async function offsetsOf(position: Position, { view, times, stream, ends }: Places) {
  if ('timeMs' in position) {
    return offsetsAtTime({ files: nodeFiles, view, stream }, times, position.timeMs);
  }
  const { offset } = position;
  return earliestOffsets(view, stream).map((first, p) =>
    Math.max(first, Math.min(offset, ends[p] ?? 0)),
  );
}

/** What is typed says so; of an offset and a time the partitions do. */
async function isAfter(one: Position, other: Position, places: Places): Promise<boolean> {
  if ('offset' in one && 'offset' in other) return one.offset > other.offset;
  if ('timeMs' in one && 'timeMs' in other) return one.timeMs > other.timeMs;
  const others = await offsetsOf(other, places);
  const ones = await offsetsOf(one, places);
  const isNowhereBefore = ones.every((offset, p) => offset >= (others[p] ?? 0));
  return isNowhereBefore && ones.some((offset, p) => offset > (others[p] ?? 0));
}

/** Throws OFFSET_BEYOND_END: an offset that no partition has had yet, and not the next one. */
function checkFrom(from: Position, ends: readonly number[], stream: string): void {
  const end = Math.max(0, ...ends);
  if (!('offset' in from) || from.offset <= end) return;
  const detail = `--from: ${stream} ends before ${end}; ${from.offset} is beyond`;
  throw new HeadgateError('OFFSET_BEYOND_END', detail);
}

/** Throws USAGE. */
async function checkOrder(
  { from, learnFrom, toMs }: { from: Position; learnFrom: Position; toMs: number | undefined },
  places: Places,
): Promise<void> {
  if (await isAfter(learnFrom, from, places)) {
    const mend = '--learn-from is where the learning begins, at --from or before it';
    throw new HeadgateError('USAGE', `--learn-from is later than --from: ${mend}`);
  }
  if (toMs !== undefined && 'timeMs' in from && from.timeMs >= toMs) {
    throw new HeadgateError('USAGE', '--from is not before --to: nothing lies between them');
  }
}

/**
 * What is read, in the words of `log read`; and what of it is only learnt from. Throws USAGE,
 * STREAM_UNKNOWN, OFFSET_BEYOND_END.
 */
export async function replayRange(values: Values, stream: string, io: Io) {
  const { config, data, file } = await readSettings(values, io.env);
  const { view, times } = await openStream(data, stream);
  const ends = (await endOffsets(view)).get(stream) ?? [];
  const places = { view, times, stream, ends };
  const fromText = textValue(values, 'from') ?? 'earliest';
  const learnText = textValue(values, 'learn-from') ?? fromText;
  const until = textValue(values, 'to');
  const from = await positionOf('from', fromText, places);
  // Of one text, which may be relative to a clock that goes on, one time.
  const isOne = learnText === fromText;
  const learnFrom = isOne ? from : await positionOf('learn-from', learnText, places);
  const toMs = await timeOption(values, 'to', times);
  checkFrom(from, ends, stream);
  await checkOrder({ from, learnFrom, toMs }, places);
  const { data: dataDir, config: configFile } = values;
  const read: Values = {
    ...{ data: dataDir, config: configFile },
    ['offset' in learnFrom ? 'from' : 'since']: learnText,
    ...(until === undefined ? {} : { until }),
  };
  const isShown = ({ record, timeMs }: TimedRecord) =>
    'offset' in from ? record.offset >= from.offset : timeMs >= from.timeMs;
  const header = view.segments().at(-1)?.header;
  const log = header === undefined ? '' : logName(header.logId);
  return { config, file, log, read, isShown, kept: keptText(stream, view, ends) };
}

/** Which offsets a stream has: for who asked for others. */
function keptText(stream: string, view: OpenStream['view'], ends: readonly number[]): string {
  const earliest = earliestOffsets(view, stream);
  const kept = ends.flatMap((end, p) => {
    const first = earliest[p] ?? 0;
    const where = ends.length === 1 ? '' : ` in partition ${p}`;
    return end > first ? `${first} to ${end - 1}${where}` : [];
  });
  if (kept.length === 0) return `${stream} holds no record`;
  return `${stream} holds the offsets ${kept.join(', ')}`;
}
