import type { Clock, Random } from './base/clock.ts';
import type { Logger } from './base/logger.ts';
import { jumpTarget } from './base/offset-jump.ts';
import { readCatalog } from './log/catalog.ts';
import {
  checkpointHandled,
  checkpointKey,
  consumerKeys,
  handledCheckpoint,
} from './log/checkpoint.ts';
import { Journal } from './log/journal.ts';
import { recoverTail } from './log/recovery.ts';
import { withOffsets } from './log/stream-tables.ts';
import type { DataFolder } from './ops/data-folder.ts';
import { readBootId } from './os/boot-id.ts';
import type { Files } from './os/files.ts';
import type { StateStore } from './os/state-store.ts';

export interface RestoredLog {
  readonly data: DataFolder;
  readonly files: Files;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly state: StateStore;
}

/** The smallest that the configuration allows: the daemon's next segment has the size it wants. */
const SEGMENT_BYTES = 1_048_576;
const NO_LIMIT = { maxBytes: Number.MAX_SAFE_INTEGER, maxAgeMs: 0 };

/**
 * Lets the offsets of a restored log go on where none was ever given out (`offset-jump.ts`), and
 * tells every consumer that there is nothing in between. Durable when it returns: the header of a
 * new segment says so, whatever becomes of the state store.
 */
export async function goOnElsewhere(log: RestoredLog): Promise<void> {
  for (const folder of [log.data.events, log.data.telemetry]) await jump(log, folder);
}

async function jump(log: RestoredLog, folder: string): Promise<void> {
  const { files, clock, random, logger, state } = log;
  const { segments } = await readCatalog(files, folder);
  const last = segments.at(-1);
  if (last === undefined) return;
  const { nextOffsets } = await recoverTail(files, segments);
  const wallMs = clock.wallMs();
  const ends = new Map(
    withOffsets(last.header.streams, nextOffsets).map((table) => [table.name, table.nextOffsets]),
  );
  const targets = new Map(
    [...ends].map(([name, offsets]) => [name, offsets.map((next) => jumpTarget(next, wallMs))]),
  );
  const journal = await Journal.open({
    ...{ files, folder, clock, random, logger },
    streams: [],
    boot: await readBootId(files),
    lingerMs: 0,
    segmentBytes: SEGMENT_BYTES,
    maxPendingBytes: SEGMENT_BYTES,
    retention: NO_LIMIT,
    handled: async () => targets,
  });
  await journal.close();
  const changed = new Map<string, string>();
  for (const { consumer, stream, text } of await consumerKeys(state)) {
    const end = ends.get(stream);
    const handled = end && checkpointHandled(text, journal.logId, end);
    if (end === undefined || handled === undefined) continue;
    for (const [p, from] of end.entries()) {
      handled.add(p, { from, to: targets.get(stream)?.[p] ?? from });
    }
    changed.set(checkpointKey(consumer, stream), handledCheckpoint(journal.logId, handled));
  }
  await state.write(changed, { sync: true });
}
