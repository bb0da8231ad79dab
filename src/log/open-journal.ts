import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { codeOf, messageOf } from '../base/errors.ts';
import { beginningOf, isJump } from '../base/offset-jump.ts';
import { PAGE_BYTES } from './bytes.ts';
import { readCatalog, type SegmentInfo, segmentPath } from './catalog.ts';
import { fileKind, logName, type SegmentHeader, type StreamTable } from './format.ts';
import { writeHeaderCopy } from './header-copy.ts';
import type { JournalOptions } from './journal-options.ts';
import { discard, growingFile, type ReadyFile, zeroedFile } from './ready-file.ts';
import { type LostOffsets, type Recovered, recoverTail } from './recovery.ts';
import { ActiveSegment } from './segment.ts';
import { flatOffsets, withOffsets } from './stream-tables.ts';

/** A store's files, recovered and ready to append to. */
export interface JournalFiles {
  readonly sealed: readonly SegmentInfo[];
  readonly active: ActiveSegment;
  /** The file of the next segment, if there is one. */
  readonly ready: ReadyFile | undefined;
  readonly tables: readonly StreamTable[];
  /** Next offset of each slot, in the order of the tables. */
  readonly nextOffsets: number[];
  readonly runMs: number;
  /** What opening itself wrote. */
  readonly bytesWritten: number;
  readonly found: Pick<Recovered, 'tornBytes' | 'corruptBlocks' | 'lost'>;
}

const NO_INDEX = { indexPage: 0, previousIndexPage: 0 } as const;

type Wanted = JournalOptions['streams'];

/**
 * The streams of the log and of the configuration together. A stream keeps its number and its
 * number of partitions for good: with another number of partitions a device's readings would not
 * stay in order.
 */
function mergeStreams(there: readonly StreamTable[], wanted: Wanted): StreamTable[] {
  const tables = [...there];
  const beginning = beginningOf(flatOffsets(there));
  for (const { name, partitions } of wanted) {
    if (tables.some((table) => table.name === name)) continue;
    const number = Math.max(0, ...tables.map((table) => table.number)) + 1;
    tables.push({ number, name, nextOffsets: Array.from({ length: partitions }, () => beginning) });
  }
  return tables;
}

/** Opens or creates the store in `options.folder`. Throws LOG_FORMAT or a system error. */
export async function openJournalFiles(options: JournalOptions): Promise<JournalFiles> {
  const { files, folder, logger } = options;
  await files.makeFolder(folder);
  const { segments, unborn, ready: readyPath, leftovers } = await readCatalog(files, folder);
  for (const path of unborn) {
    // Never deleted: it may be the only segment, damaged, and somebody may want to look at it.
    logger.warn({ path }, 'a segment without a whole header and without blocks is set aside');
    await files.rename(path, `${path}.unborn`);
  }
  // What makes a file a left-over may be a name that is not durable yet.
  if (leftovers.length > 0) await files.syncFolder(folder);
  for (const path of leftovers) await files.remove(path);
  const last = segments.at(-1);
  if (last === undefined) {
    if (readyPath !== undefined) await files.remove(readyPath);
    return createStore(options);
  }
  const tail = await recoverTail(files, segments);
  const tables = mergeStreams(last.header.streams, options.streams);
  const ahead = await aheadOf(options, { ...last.header, streams: tables }, tail.nextOffsets);
  const lost = [...tail.lost, ...ahead.lost];
  const recovered = { ...tail, lost, nextOffsets: ahead.nextOffsets };
  report(options, last, recovered);
  warnOfPartitions(options, last.header.streams);
  const found = {
    tables,
    nextOffsets: recovered.nextOffsets,
    runMs: recovered.runMs,
    found: recovered,
  };
  const ready = readyPath === undefined ? undefined : await readyAgain(options, readyPath);
  const isPacked = last.path !== segmentPath(folder, last.sequence);
  const active = isPacked ? undefined : await ActiveSegment.resume(files, last, recovered);
  const isGrown = tables.length > last.header.streams.length;
  const isAhead = ahead.nextOffsets.some((offset, slot) => offset !== tail.nextOffsets[slot]);
  const isDamaged = isAhead || last.headerLost || lost.length > 0 || recovered.corruptBlocks > 0;
  if (active !== undefined && !isGrown && !isDamaged) {
    return { ...found, sealed: segments.slice(0, -1), active, ready, bytesWritten: 0 };
  }
  await active?.close();
  const sealed = [...segments.slice(0, -1), active?.sealedInfo() ?? last];
  const started = await startNewSegment(options, last, { ...found, ready });
  return { ...found, sealed, ...started };
}

/** A file that was made ready by an earlier process; undefined: it is of another size, and goes. */
async function readyAgain(
  { files, folder, segmentBytes }: JournalOptions,
  path: string,
): Promise<ReadyFile | undefined> {
  const handle = await files.open(path, 'write');
  const sizeBytes = await handle.sizeBytes();
  const kind = fileKind(basename(path));
  if (sizeBytes === segmentBytes && kind !== undefined) {
    // It may have been renamed just before the power went.
    await files.syncFolder(folder);
    return { sequence: kind.sequence, path, handle, sizeBytes, isNamed: true };
  }
  await discard(files, { path, handle });
  return undefined;
}

/**
 * Next offsets that no consumer has seen beyond. A card that lost what it had acknowledged ends
 * before records that are in the cloud already: what is stored next must not bear their names.
 */
async function aheadOf(
  { handled }: JournalOptions,
  { logId, streams }: SegmentHeader,
  next: readonly number[],
): Promise<Pick<Recovered, 'nextOffsets' | 'lost'>> {
  const furthest = await handled?.(logName(logId));
  const nextOffsets = [...next];
  const lost: LostOffsets[] = [];
  let slot = 0;
  for (const { name, nextOffsets: table } of streams) {
    for (const partition of table.keys()) {
      const offset = next[slot] ?? 0;
      const count = (furthest?.get(name)?.[partition] ?? 0) - offset;
      if (count > 0) {
        // A restore has asked for it: nothing was there.
        if (!isJump(offset, offset + count)) lost.push({ stream: name, partition, offset, count });
        nextOffsets[slot] = offset + count;
      }
      slot += 1;
    }
  }
  return { nextOffsets, lost };
}

/**
 * Headers are never changed: the next segment's carries tables that changed, and next offsets that
 * the blocks before it do not tell.
 */
async function startNewSegment(
  options: JournalOptions,
  last: SegmentInfo,
  {
    tables,
    nextOffsets,
    runMs,
    ready,
  }: Pick<JournalFiles, 'tables' | 'nextOffsets' | 'runMs' | 'ready'>,
): Promise<Pick<JournalFiles, 'active' | 'ready' | 'nextOffsets' | 'bytesWritten'>> {
  const streams = withOffsets(tables, nextOffsets);
  const file = ready ?? (await newFile(options, last.sequence + 1));
  const header = { ...last.header, ...clocks(options, runMs), ...NO_INDEX, streams };
  await copyHeader(options, { ...header, sequence: file.sequence });
  const active = ActiveSegment.begin(options.files, file, header);
  const zeroedBytes = ready === undefined ? file.sizeBytes : 0;
  const bytesWritten = zeroedBytes + (await active.flush());
  return { active, ready: undefined, nextOffsets: flatOffsets(streams), bytesWritten };
}

/** Without a copy everything goes on: it is there for damage that may never come. */
async function copyHeader(
  { files, folder, logger }: JournalOptions,
  header: Omit<SegmentHeader, 'pages'>,
): Promise<void> {
  try {
    await writeHeaderCopy(files, folder, header);
  } catch (error) {
    const fields = { code: codeOf(error), error: messageOf(error) };
    logger.warn(fields, 'the header of the log could not be copied');
  }
}

/** A file of full size; where there is no room for one, a file that grows. */
async function newFile(options: JournalOptions, sequence: number): Promise<ReadyFile> {
  const { files, folder, segmentBytes, logger } = options;
  try {
    return await zeroedFile(files, folder, { sequence, sizeBytes: segmentBytes });
  } catch (error) {
    const fields = { code: codeOf(error), error: messageOf(error) };
    logger.warn(fields, 'no room for a segment of full size: one that grows is used');
    return growingFile(files, folder, sequence);
  }
}

function clocks(
  { clock, boot }: JournalOptions,
  runMs: number,
): Pick<SegmentHeader, 'runMs' | 'wallMs' | 'boot'> {
  return { runMs: Math.floor(runMs), wallMs: Math.max(0, Math.floor(clock.wallMs())), boot };
}

async function createStore(options: JournalOptions): Promise<JournalFiles> {
  const { files, folder } = options;
  const names = await files.list(folder);
  // Numbers never repeat, so that what was set aside keeps a name of its own.
  const used = names.map((name) => Number.parseInt(name, 10)).filter(Number.isSafeInteger);
  const tables = mergeStreams([], options.streams);
  const file = await newFile(options, Math.max(0, ...used) + 1);
  const identity = { logId: randomBytes(16), salt: randomBytes(8) };
  const header = { ...identity, ...clocks(options, 0), ...NO_INDEX, streams: tables };
  await copyHeader(options, { ...header, sequence: file.sequence });
  const active = ActiveSegment.begin(files, file, header);
  const bytesWritten = file.sizeBytes + (await active.flush());
  return {
    sealed: [],
    active,
    ready: undefined,
    tables,
    nextOffsets: flatOffsets(tables),
    runMs: 0,
    bytesWritten,
    found: { tornBytes: 0, corruptBlocks: 0, lost: [] },
  };
}

function report({ logger }: JournalOptions, last: SegmentInfo, recovered: Recovered): void {
  const { tornBytes, corruptBlocks, lost } = recovered;
  const segment = last.sequence;
  if (tornBytes > 0) {
    const fields = {
      segment,
      tornBytes,
      page: recovered.page,
      atByte: recovered.page * PAGE_BYTES,
    };
    logger.info(fields, 'a commit was cut off; nothing in it had been acknowledged');
  }
  if (corruptBlocks > 0 || lost.length > 0) {
    logger.error(
      { segment, corruptBlocks, lost },
      'the active segment is damaged; offsets are lost',
    );
  }
}

function warnOfPartitions(
  { logger, streams }: JournalOptions,
  there: readonly StreamTable[],
): void {
  for (const { name, partitions } of streams) {
    const had = there.find((table) => table.name === name)?.nextOffsets.length ?? partitions;
    if (had === partitions) continue;
    logger.warn(
      { stream: name, partitions: had, configured: partitions },
      'a stream keeps the partitions it was made with, so that each device stays in order',
    );
  }
}
