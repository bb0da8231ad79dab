import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import {
  BACKUP_FORMAT,
  type BackupHead,
  type Entry,
  encodeEntry,
  HEAD,
  MANIFEST,
  type ManifestRow,
} from './backup-format.ts';
import type { Clock } from './base/clock.ts';
import { codeOf, HeadgateError } from './base/errors.ts';
import { TAR_END, tarHeader, tarPadding } from './base/tar.ts';
import { PAGE_BYTES } from './log/bytes.ts';
import type { SegmentInfo } from './log/catalog.ts';
import type { LogView } from './log/log-view.ts';
import { openIfThere, readSegmentHeader } from './log/segment-file.ts';
import type { DataFolder } from './ops/data-folder.ts';
import { VERSIONS } from './ops/data-version.ts';
import type { FileHandle, Files } from './os/files.ts';
import { VERSION } from './version.ts';

export interface BackupOptions {
  readonly data: DataFolder;
  readonly files: Files;
  readonly clock: Clock;
  /** Both stores, running or seen from their files. */
  readonly views: { readonly telemetry?: LogView; readonly events?: LogView };
  /** The state store at the moment of the call, entry by entry. */
  readonly dump: () => AsyncIterable<Entry>;
}

const CHUNK_BYTES = 256 * 1024;
const STATE_BYTES = 1024 * 1024;
/** Packing and retention change files while they are read: so often a segment is looked for. */
const MAX_TRIES = 5;

/**
 * A backup as an archive, piece by piece: what a kill at this moment would leave. First the state
 * store, of one moment; then the events; then the readings: so each part knows of nothing that the
 * later ones lack, and positions are never ahead of the log. Never holds more than a chunk.
 */
export async function* backupOf(options: BackupOptions): AsyncGenerator<Uint8Array, void> {
  const createdMs = options.clock.wallMs();
  // Before anything is awaited: the moment that it is of.
  const entries = options.dump();
  const archive = new Archive(createdMs);
  const head: BackupHead = {
    format: BACKUP_FORMAT,
    headgate: VERSION,
    createdMs,
    versions: VERSIONS,
  };
  yield* archive.file(HEAD, Buffer.from(JSON.stringify(head)));
  yield* state(archive, entries);
  const { events, telemetry } = options.views;
  if (events !== undefined) yield* store(archive, options, { name: 'events', view: events });
  if (telemetry !== undefined) {
    yield* store(archive, options, { name: 'telemetry', view: telemetry });
  }
  yield* archive.file(MANIFEST, Buffer.from(JSON.stringify({ files: archive.rows })));
  yield TAR_END;
}

/** The archive with what is in it so far. A file that turns out to be wrong is not in the rows. */
class Archive {
  readonly rows: ManifestRow[] = [];
  readonly #modifiedS: number;

  constructor(createdMs: number) {
    this.#modifiedS = Math.floor(createdMs / 1000);
  }

  header(path: string, bytes: number): Uint8Array {
    return tarHeader({ path, bytes, modifiedS: this.#modifiedS });
  }

  *file(path: string, bytes: Uint8Array): Generator<Uint8Array, void> {
    yield this.header(path, bytes.length);
    yield bytes;
    yield tarPadding(bytes.length);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    this.rows.push({ path, bytes: bytes.length, sha256 });
  }
}

async function* state(archive: Archive, entries: AsyncIterable<Entry>) {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  let number = 1;
  const path = () => `state/${String(number++).padStart(8, '0')}.entries`;
  for await (const entry of entries) {
    const encoded = encodeEntry(entry);
    parts.push(encoded);
    bytes += encoded.length;
    if (bytes < STATE_BYTES) continue;
    yield* archive.file(path(), Buffer.concat(parts));
    parts = [];
    bytes = 0;
  }
  if (bytes > 0) yield* archive.file(path(), Buffer.concat(parts));
}

interface NamedView {
  readonly name: 'telemetry' | 'events';
  readonly view: LogView;
}

async function* store(archive: Archive, options: BackupOptions, { name, view }: NamedView) {
  const { files, data } = options;
  await view.look();
  // What is acknowledged by now is in these; what comes later may begin others.
  const last = view.segments().at(-1)?.sequence ?? 0;
  const next = (after: number) => view.segments().find(({ sequence }) => sequence > after);
  let tries = 0;
  for (let info = next(0); info !== undefined && info.sequence <= last; ) {
    const isWhole = yield* segment(archive, files, { name, view, info });
    tries = isWhole ? 0 : tries + 1;
    await view.look();
    // It is packed now, under another name, or dropped.
    const now: SegmentInfo | undefined = next(isWhole ? info.sequence : info.sequence - 1);
    // It is there, and is not what it says that it is: nobody may believe that it was saved.
    if (now !== undefined && tries >= MAX_TRIES) {
      throw new HeadgateError('BACKUP_UNREADABLE', now.path);
    }
    info = now;
  }
  const copy = await openIfThere(files, join(data[name], 'header.copy'));
  if (copy === undefined) return;
  try {
    const bytes = new Uint8Array(await copy.sizeBytes());
    await copy.read(bytes, 0);
    yield* archive.file(`log/${name}/header.copy`, bytes);
  } finally {
    await copy.close();
  }
}

/** False: the file was taken away, or taken for another segment, while it was read. */
async function* segment(
  archive: Archive,
  files: Files,
  { name, view, info }: NamedView & { readonly info: SegmentInfo },
): AsyncGenerator<Uint8Array, boolean> {
  const handle = await openIfThere(files, info.path);
  if (handle === undefined) return false;
  try {
    // Of the active one what is committed: behind that a write may be under way.
    const endPage = view.endOf(info.sequence);
    const bytes = endPage === undefined ? await handle.sizeBytes() : endPage * PAGE_BYTES;
    const path = `log/${name}/${basename(info.path)}`;
    const hash = createHash('sha256');
    yield archive.header(path, bytes);
    for (let at = 0; at < bytes; at += CHUNK_BYTES) {
      const chunk = await readable(handle, at, Math.min(CHUNK_BYTES, bytes - at));
      hash.update(chunk);
      yield chunk;
    }
    yield tarPadding(bytes);
    // A file that begins anew begins with its header: where that is the same, all before was.
    const header = await readSegmentHeader(handle, info.path);
    if (!info.headerLost && header?.sequence !== info.sequence) return false;
    archive.rows.push({ path, bytes, sha256: hash.digest('hex') });
    return true;
  } finally {
    await handle.close();
  }
}

/** What the card does not give any more is zeros: damage, as it is in the log itself. */
async function readable(handle: FileHandle, position: number, bytes: number): Promise<Uint8Array> {
  const chunk = new Uint8Array(bytes);
  try {
    await handle.read(chunk, position);
    return chunk;
  } catch (error) {
    if (codeOf(error) !== 'EIO') throw error;
  }
  chunk.fill(0);
  for (let at = 0; at < bytes; at += PAGE_BYTES) {
    const page = chunk.subarray(at, at + PAGE_BYTES);
    await handle.read(page, position + at).catch((error: unknown) => {
      if (codeOf(error) !== 'EIO') throw error;
      page.fill(0);
    });
  }
  return chunk;
}
