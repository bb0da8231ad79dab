import type { StateStore } from '../os/state-store.ts';

/** How far a consumer has come in one stream, as it stands in the state store. */
interface Checkpoint {
  /** The log that the offsets belong to. */
  readonly log: string;
  /** First offset not handled, per partition. */
  readonly offsets: readonly number[];
}

const PREFIX = 'cursor/';

export function checkpointKey(consumer: string, stream: string): string {
  return `${PREFIX}${consumer}/${stream}`;
}

export function encodeCheckpoint(checkpoint: Checkpoint): string {
  return JSON.stringify(checkpoint);
}

/**
 * The offsets of a checkpoint, if it is one of this log: those of another (a card that was
 * replaced) say nothing about this one.
 */
export function checkpointOffsets(
  text: string | undefined,
  log: string,
): readonly number[] | undefined {
  if (text === undefined) return undefined;
  try {
    const { log: own, offsets } = JSON.parse(text) as Partial<Checkpoint>;
    const isSound = Array.isArray(offsets) && offsets.every((n) => Number.isSafeInteger(n));
    return own === log && isSound ? offsets : undefined;
  } catch {
    return undefined;
  }
}

/** A checkpoint as it is stored. */
interface StoredCheckpoint {
  readonly consumer: string;
  readonly stream: string;
  readonly text: string;
}

/** Every checkpoint that is stored, of whatever log. */
export async function consumerKeys(state: StateStore): Promise<StoredCheckpoint[]> {
  return (await state.entries(PREFIX)).map(([key, text]) => {
    const slash = key.indexOf('/', PREFIX.length);
    return { consumer: key.slice(PREFIX.length, slash), stream: key.slice(slash + 1), text };
  });
}

/** The furthest offset of each partition that any consumer has handled, by stream. */
export async function handledOffsets(
  state: StateStore,
  log: string,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const furthest = new Map<string, readonly number[]>();
  for (const { stream, text } of await consumerKeys(state)) {
    const offsets = checkpointOffsets(text, log) ?? [];
    const before = furthest.get(stream) ?? [];
    const longer = offsets.length > before.length ? offsets : before;
    furthest.set(
      stream,
      longer.map((_, p) => Math.max(offsets[p] ?? 0, before[p] ?? 0)),
    );
  }
  return furthest;
}
