import { Books } from '../audit/books.ts';
import { type AuditEntry, parseEntry } from '../audit/entry.ts';
import { type AuditedStream, openBooks } from '../audit/open-books.ts';
import { addBacklog, type Backlog } from '../audit/report.ts';
import {
  type AuditSnapshot,
  type LostRow,
  type StreamSnapshot,
  snapshotOf,
} from '../audit/snapshot.ts';
import { codeOf, HeadgateError } from '../base/errors.ts';
import { HandledOffsets } from '../base/handled-offsets.ts';
import { silentLogger } from '../base/logger.ts';
import type { LogRecord } from '../base/reading.ts';
import { checkpointHandled, checkpointKey } from '../log/checkpoint.ts';
import type { FolderView } from '../log/folder-view.ts';
import { logName } from '../log/format.ts';
import { earliestOffsets, streamTable } from '../log/log-reader.ts';
import { UPLINK } from '../log/own-consumers.ts';
import { readRange } from '../log/record-range.ts';
import type { LostOffsets } from '../log/recovery.ts';
import { askControl } from '../ops/control-client.ts';
import { openLevelStore } from '../os/lazy-level-store.ts';
import { nodeFiles } from '../os/node-files.ts';
import { AUDIT, DEAD_LETTER } from '../stores.ts';
import { topicsOf } from '../topics.ts';
import type { Settings } from './settings.ts';
import { endOffsets, openViews } from './stores.ts';

/** Where the books of a gateway come from, running or stopped. */

const files = nodeFiles;
/** Retention may take what is being counted: it is counted anew then. */
const MAX_TRIES = 5;

export interface Found {
  readonly snapshot: AuditSnapshot;
  readonly entries: readonly AuditEntry[];
  readonly backlog: Backlog;
}

/**
 * The books of one moment: asked of the daemon, or put together from what a stopped one has left.
 * Rejects with NO_LOG, NO_ACCESS, DATA_IN_USE and what the daemon answers with.
 */
export async function findBooks(settings: Settings): Promise<Found> {
  for (let tries = 1; ; tries++) {
    const snapshot = await liveOrStopped(settings);
    const views = await openViews(settings.data);
    const backlog: Backlog = new Map();
    const streams: StreamSnapshot[] = [];
    for (const stream of snapshot.streams) {
      const missed = stream.forwarded ? await countBacklog(stream, views, backlog) : [];
      streams.push(withLost(stream, missed));
    }
    const entries = await readEntries(views.get('events'), snapshot.entriesEnd);
    if (tries === MAX_TRIES || (await isStillThere(snapshot, views))) {
      return { snapshot: { ...snapshot, streams }, entries, backlog };
    }
  }
}

async function liveOrStopped(settings: Settings): Promise<AuditSnapshot> {
  try {
    return (await askControl(settings.data.socket, '/audit')) as AuditSnapshot;
  } catch (error) {
    if (codeOf(error) !== 'NOT_RUNNING') throw error;
  }
  return stoppedBooks(settings);
}

function viewOf(views: ReadonlyMap<string, FolderView>, stream: string): FolderView | undefined {
  return [...views.values()].find((view) => streamTable(view, stream) !== undefined);
}

/** Returns what damage has taken of it. */
async function countBacklog(
  stream: StreamSnapshot,
  views: ReadonlyMap<string, FolderView>,
  backlog: Backlog,
): Promise<LostRow[]> {
  const { from, end: until, ahead, stream: name } = stream;
  const acked = new HandledOffsets(from, ahead);
  const view = viewOf(views, name);
  const lost: LostRow[] = [];
  if (view === undefined || from.every((offset, p) => offset >= (until[p] ?? 0))) return lost;
  const onLost = ({ partition, offset, count }: LostRow) => lost.push({ partition, offset, count });
  for await (const records of readRange({ files, view, stream: name, from, until, onLost })) {
    const owed = records.filter(({ partition, offset }) => !acked.has(partition, offset));
    addBacklog(backlog, stream, owed);
  }
  return lost;
}

/** What the daemon knows of, and what was missed besides. */
function withLost(stream: StreamSnapshot, missed: readonly LostRow[]): StreamSnapshot {
  const isKnown = ({ partition, offset }: LostRow) =>
    stream.lostOffsets.some((one) => one.partition === partition && one.offset === offset);
  const more = missed.filter((lost) => !isKnown(lost));
  return more.length === 0 ? stream : { ...stream, lostOffsets: [...stream.lostOffsets, ...more] };
}

/** Nothing that was still to be sent at that moment has been dropped since. */
async function isStillThere(
  { streams }: AuditSnapshot,
  views: ReadonlyMap<string, FolderView>,
): Promise<boolean> {
  for (const view of views.values()) await view.look();
  return streams.every(({ stream, forwarded, from, end }) => {
    const view = viewOf(views, stream);
    if (!forwarded || view === undefined) return true;
    const earliest = earliestOffsets(view, stream);
    return from.every((offset, p) => offset >= (end[p] ?? 0) || offset >= (earliest[p] ?? 0));
  });
}

async function readEntries(view: FolderView | undefined, end: number): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = [];
  if (view === undefined || streamTable(view, AUDIT) === undefined) return entries;
  const range = { files, view, stream: AUDIT, from: [], until: [end] };
  for await (const records of readRange(range)) {
    for (const { payload } of records) {
      const entry = parseEntry(payload);
      if (entry !== undefined) entries.push(entry);
    }
  }
  return entries;
}

type Stored = ReadonlyArray<readonly [key: string, value: string]>;

/** Open for a moment: a daemon that starts just then finds it in use. */
async function readState({ data }: Settings): Promise<{ books: Stored; cursors: Stored }> {
  if ((await files.kindOf(data.state)) === undefined) return { books: [], cursors: [] };
  const level = await openLevelStore({ folder: data.state, files, logger: silentLogger });
  try {
    const books = await level.state.entries(Books.ROOT);
    return { books, cursors: await level.state.entries(checkpointKey(UPLINK, '')) };
  } finally {
    await level.close();
  }
}

/** As the daemon would open them, but for what it would save. */
async function stoppedBooks(settings: Settings): Promise<AuditSnapshot> {
  const { config, data } = settings;
  const views = await openViews(data);
  const stored = await readState(settings);
  const books = new Books({ bucketMs: config.audit.bucketMs, keepsSize: true }, stored.books);
  const cursors = new Map(stored.cursors);
  const lost: LostOffsets[] = [];
  const ends = new Map<string, number[]>();
  const streams: AuditedStream[] = [];
  for (const [store, view] of views) {
    for (const [name, end] of await endOffsets(view)) {
      ends.set(name, end);
      const streamOfStore = { name, view, end, takesMessages: store === 'telemetry' };
      if (name !== AUDIT) streams.push(auditedStream(streamOfStore, cursors, lost));
    }
  }
  const topics = topicsOf(config, (name) => ends.get(name)?.length ?? 1);
  const events = views.get('events');
  const entriesEnd = ends.get(AUDIT)?.[0] ?? 0;
  const entries = {
    log: events === undefined ? '' : logOf(events),
    end: entriesEnd,
    records: (from: readonly number[]) => recordsFrom(events, AUDIT, from),
  };
  const streamOf = (topic: string) => topics.find(topic)?.stream;
  await openBooks({ books, streams, entries, deadLetters: DEAD_LETTER, streamOf });
  const acked = new Map(streams.map((stream) => [stream.name, stream.acked]));
  return snapshotOf({
    books,
    ackedOf: (stream) => acked.get(stream),
    endOf: (stream) => ends.get(stream) ?? [],
    lostOf: (name) =>
      lost
        .filter(({ stream }) => stream === name)
        .map(({ partition, offset, count }) => ({ partition, offset, count })),
    entriesEnd,
  });
}

function logOf(view: FolderView): string {
  const newest = view.segments().at(-1);
  return newest === undefined ? '' : logName(newest.header.logId);
}

interface StreamOfStore {
  readonly name: string;
  readonly view: FolderView;
  readonly end: readonly number[];
  readonly takesMessages: boolean;
}

function auditedStream(
  { name, view, end, takesMessages }: StreamOfStore,
  cursors: ReadonlyMap<string, string>,
  lost: LostOffsets[],
): AuditedStream {
  const log = logOf(view);
  const stored = checkpointHandled(cursors.get(checkpointKey(UPLINK, name)), log, end);
  const earliest = earliestOffsets(view, name);
  const acked = stored ?? new HandledOffsets(earliest);
  const records = (from: readonly number[]) =>
    readRange({ files, view, stream: name, from, onLost: (one) => lost.push(one) });
  return { name, log, takesMessages, forwards: undefined, earliest, end, acked, records };
}

async function* recordsFrom(
  view: FolderView | undefined,
  stream: string,
  from: readonly number[],
): AsyncGenerator<readonly LogRecord[]> {
  if (view !== undefined) yield* readRange({ files, view, stream, from });
}

/** Throws STREAM_UNKNOWN. */
export function checkStream({ streams }: AuditSnapshot, stream: string | undefined): void {
  if (stream === undefined || streams.some((one) => one.stream === stream)) return;
  const detail = stream === AUDIT ? 'the books themselves are not audited' : `no stream ${stream}`;
  throw new HeadgateError('STREAM_UNKNOWN', detail);
}
