import * as v from 'valibot';
import { HeadgateError } from '../base/errors.ts';
import type { LocalStreams } from '../log/local-streams.ts';
import type { NamedConsumers } from '../log/named-consumers.ts';
import { checkPartition, MAX_PARTITION, soughtOffsets } from '../log/start-position.ts';
import { type Handler, sendJson } from './control-call.ts';

export interface ConsumerRoutesOptions {
  readonly streams: LocalStreams;
  readonly consumers: NamedConsumers;
}

const OFFSET = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const PARTITION = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(MAX_PARTITION));
const COMMIT = v.strictObject({
  positions: v.record(v.pipe(v.string(), v.regex(/^(0|[1-9]\d{0,4})$/)), OFFSET),
});
const SEEK = v.strictObject({
  seek: v.union([v.string(), OFFSET]),
  partition: v.optional(PARTITION),
});

/** `/consumers` and below: docs/consumers.md. */
export function consumerRoutes(options: ConsumerRoutesOptions): Handler {
  const { consumers } = options;
  return async (call) => {
    const [root, consumer, below, stream, ...more] = call.path;
    if (root !== 'consumers') return false;
    if (consumer === undefined && call.method === 'GET') {
      sendJson(call, await consumers.rows());
      return true;
    }
    if (consumer === undefined || below !== 'streams' || stream === undefined || more.length > 0) {
      return false;
    }
    if (call.method === 'GET') sendJson(call, await consumers.row(consumer, stream));
    else if (call.method === 'PUT') {
      const positions = await positionsIn(await call.body(), stream, options);
      sendJson(call, await consumers.move(consumer, stream, positions));
    } else if (call.method === 'DELETE') {
      await consumers.remove(consumer, stream);
      call.answer.writeHead(204);
      call.answer.end();
    } else return false;
    return true;
  };
}

/** Of a commit or a seek, the offset of each partition that moves. */
async function positionsIn(
  body: unknown,
  stream: string,
  { streams }: ConsumerRoutesOptions,
): Promise<ReadonlyMap<number, number>> {
  const commit = v.safeParse(COMMIT, body);
  if (commit.success) {
    const positions = Object.entries(commit.output.positions);
    if (positions.length > 0) return new Map(positions.map(([p, offset]) => [Number(p), offset]));
  }
  const sought = v.safeParse(SEEK, body);
  if (!sought.success) {
    const detail = 'the body is {"positions": {"0": 2}} or {"seek": "earliest", "partition": 0}';
    throw new HeadgateError('REQUEST_INVALID', detail);
  }
  const { seek, partition } = sought.output;
  if (partition !== undefined) checkPartition(streams, stream, partition);
  const offsets = await soughtOffsets(streams, stream, String(seek));
  return new Map(
    [...offsets.entries()].filter(([p]) => partition === undefined || p === partition),
  );
}
