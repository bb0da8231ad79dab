import type { Books } from './audit/books.ts';
import type { Clock } from './base/clock.ts';
import type { Counters } from './base/counters.ts';
import type { Logger } from './base/logger.ts';
import { DedupKeeper } from './dedup-keeper.ts';
import type { TopicMap } from './ingest/topic-map.ts';
import type { WriteBudget } from './log/write-budget.ts';
import type { Config } from './ops/config.ts';
import type { Files } from './os/files.ts';
import type { PageStore } from './os/page-store.ts';
import { Pipeline, type PipelineStream } from './pipeline.ts';
import { DEAD_LETTER, type Stores } from './stores.ts';
import type { StreamDecoding } from './stream-decoding.ts';

export interface PipelineParts {
  readonly config: Config;
  readonly files: Files;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly stores: Stores;
  readonly topics: TopicMap;
  readonly books: Books;
  readonly decodings: ReadonlyMap<string, StreamDecoding>;
  readonly pages: PageStore;
  readonly budget: WriteBudget | undefined;
}

/** A device costs dedup some 15 ids by itself, as much as a boot; most have more than 8 anyway. */
const IDS_PER_DEVICE = 8;

type StreamConfig = Config['streams'][string];

/** The dedup windows of a stream, filled before anything can be asked of them. */
function openKeeper(stream: string, of: StreamConfig, parts: PipelineParts): Promise<DedupKeeper> {
  const { maxIds, maxStoredIds } = parts.config.dedup;
  const { mode, windowMs, payloadWindowMs, refresh, windowIds, counterBits } = of.dedup;
  return DedupKeeper.open({
    ...parts,
    stream,
    journal: parts.stores.telemetry,
    ...{ mode, refresh, windowIds, counterBits, maxIds, maxStoredIds },
    windowMs: mode === 'payload' ? payloadWindowMs : windowMs,
    maxDevices: Math.floor(maxIds / IDS_PER_DEVICE),
  });
}

/** `opened`: told of each keeper as soon as there is something to stop. */
export async function buildPipeline(
  parts: PipelineParts,
  opened: (stream: string, keeper: DedupKeeper) => void,
): Promise<Pipeline> {
  const { config, stores, decodings } = parts;
  const { telemetry, events } = stores;
  const streams = new Map<string, PipelineStream>();
  for (const [name, of] of Object.entries(config.streams)) {
    const keeper = await openKeeper(name, of, parts);
    opened(name, keeper);
    const decoding = decodings.get(name);
    if (decoding === undefined) throw new Error(`nothing decodes the stream ${name}`);
    const { dedup } = keeper;
    const target = { journal: telemetry, stream: telemetry.stream(name), dedup, ack: of.ack };
    streams.set(name, { ...target, ...decoding });
  }
  return new Pipeline({ ...parts, streams, events, deadLetters: events.stream(DEAD_LETTER) });
}
