import { TopicMap } from './ingest/topic-map.ts';
import type { Config } from './ops/config.ts';

/** Which topic belongs to which stream, in the order of the configuration. */
export function topicsOf(
  { streams }: Pick<Config, 'streams'>,
  partitionsOf: (stream: string) => number,
): TopicMap {
  const patterns = Object.entries(streams).flatMap(([stream, { topics }]) =>
    topics.map((pattern) => ({ stream, pattern, partitions: partitionsOf(stream) })),
  );
  return new TopicMap(patterns);
}
