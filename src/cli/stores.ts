import { codeOf, HeadgateError, messageOf } from '../base/errors.ts';
import { CorrectedTimes } from '../log/corrected-time.ts';
import { FolderView } from '../log/folder-view.ts';
import { streamTable } from '../log/log-reader.ts';
import { readTimes } from '../log/read-times.ts';
import { recoverTail } from '../log/recovery.ts';
import { withOffsets } from '../log/stream-tables.ts';
import type { DataFolder } from '../ops/data-folder.ts';
import { nodeFiles } from '../os/node-files.ts';

export const STORES = ['telemetry', 'events'] as const;

/** The stores of a data folder that are there, seen from their files. Throws NO_LOG, NO_ACCESS. */
export async function openViews(data: DataFolder): Promise<Map<string, FolderView>> {
  const views = new Map<string, FolderView>();
  for (const store of STORES) {
    try {
      views.set(store, await FolderView.open(nodeFiles, data[store]));
    } catch (error) {
      if (['EACCES', 'EPERM'].includes(codeOf(error))) {
        throw new HeadgateError('NO_ACCESS', messageOf(error), { cause: error });
      }
      if (codeOf(error) !== 'NO_LOG') throw error;
    }
  }
  if (views.size === 0) throw new HeadgateError('NO_LOG', `nothing in ${data.root}`);
  return views;
}

/** The next offset of each partition, by stream. */
export async function endOffsets(view: FolderView): Promise<Map<string, number[]>> {
  const { nextOffsets } = await recoverTail(nodeFiles, view.segments());
  const streams = view.segments().at(-1)?.header.streams ?? [];
  const ends = withOffsets(streams, nextOffsets);
  return new Map(ends.map((table) => [table.name, [...table.nextOffsets]]));
}

/** A stream and what is known of its clocks. */
export interface OpenStream {
  readonly view: FolderView;
  readonly times: CorrectedTimes;
}

async function findStream(data: DataFolder, stream: string) {
  const views = [...(await openViews(data)).values()];
  const view = views.find((one) => streamTable(one, stream) !== undefined);
  if (view !== undefined) return { view, views };
  throw new HeadgateError('STREAM_UNKNOWN', `no stream ${stream} in ${data.root}`);
}

/** The store that holds a stream. Throws STREAM_UNKNOWN. */
export async function viewOfStream(data: DataFolder, stream: string): Promise<FolderView> {
  return (await findStream(data, stream)).view;
}

/** Throws STREAM_UNKNOWN. */
export async function openStream(data: DataFolder, stream: string): Promise<OpenStream> {
  const { view, views } = await findStream(data, stream);
  return { view, times: await timesOf(views) };
}

/** Both stores are of one gateway: what only one of them saw counts in the other too. */
export async function timesOf(views: Iterable<FolderView>): Promise<CorrectedTimes> {
  const all: CorrectedTimes[] = [];
  for (const one of views) all.push(await readTimes(nodeFiles, one));
  return CorrectedTimes.merged(all);
}
