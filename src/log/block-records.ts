import type { LogRecord } from '../base/reading.ts';
import { unpackBody } from './codec.ts';
import { BLOCK_PACKED, type BlockHeader } from './format.ts';
import { decodePacked, type PlainBlock } from './packed.ts';
import { decodeRecords, type Least, type StreamNames } from './record-codec.ts';

/** The data blocks that a block is, or holds; `stored`: its body as it stands in the file. */
export function blocksIn(header: BlockHeader, stored: Uint8Array): PlainBlock[] {
  const { codec, plainBytes, kind } = header;
  const body = unpackBody({ codec, bytes: stored, plainBytes });
  return kind === BLOCK_PACKED ? decodePacked(header, body) : [{ header, body }];
}

/**
 * The records of a block in commit order; payloads are views into its body. Throws LOG_FORMAT for
 * what another version wrote.
 */
export function recordsIn(
  header: BlockHeader,
  stored: Uint8Array,
  names: StreamNames,
  least: Least = () => 0,
): LogRecord[] {
  const isWanted = ({ header: { runs } }: PlainBlock) =>
    runs.some((run) => run.firstOffset + run.records > least(run));
  const blocks = blocksIn(header, stored).filter(isWanted);
  return blocks.flatMap((block) => decodeRecords(block.header, block.body, names, least));
}
