import { HandledOffsets, type SpansAhead } from '../base/handled-offsets.ts';
import type { StateStore } from '../os/state-store.ts';

/** How far a consumer has come in one stream, as it stands in the state store. */
interface Checkpoint {
  /** The log that the offsets belong to. */
  readonly log: string;
  /** First offset not handled, per partition. */
  readonly offsets: readonly number[];
  /** What is handled beyond that, of each partition; absent: nothing. */
  readonly ahead?: SpansAhead;
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
  return checkpointIn(text, log)?.offsets;
}

function checkpointIn(text: string | undefined, log: string): Checkpoint | undefined {
  if (text === undefined) return undefined;
  try {
    const checkpoint = JSON.parse(text) as Checkpoint;
    const { log: own, offsets, ahead = [] } = checkpoint;
    const isSound = Array.isArray(offsets) && offsets.every((n) => Number.isSafeInteger(n));
    return own === log && isSound && areSpans(ahead) ? checkpoint : undefined;
  } catch {
    return undefined;
  }
}

function areSpans(ahead: unknown): ahead is SpansAhead {
  if (!Array.isArray(ahead)) return false;
  return ahead.every(
    (spans: unknown) =>
      Array.isArray(spans) &&
      spans.every(
        (span: unknown) =>
          Array.isArray(span) && span.length === 2 && span.every((n) => Number.isSafeInteger(n)),
      ),
  );
}

/**
 * What a checkpoint of this log says, within `next`: a card that lied about a sync may have less
 * than was handled. Undefined as for `checkpointOffsets`.
 */
export function checkpointHandled(
  text: string | undefined,
  log: string,
  next: readonly number[],
): HandledOffsets | undefined {
  const checkpoint = checkpointIn(text, log);
  if (checkpoint === undefined) return undefined;
  const { offsets, ahead = [] } = checkpoint;
  const within = next.map((end, p) =>
    (ahead[p] ?? []).flatMap(
      ([from, to]): Array<[number, number]> => (from < end ? [[from, Math.min(to, end)]] : []),
    ),
  );
  return new HandledOffsets(
    next.map((end, p) => Math.min(offsets[p] ?? 0, end)),
    within,
  );
}

/** As it is stored. */
export function handledCheckpoint(log: string, handled: HandledOffsets): string {
  const offsets = handled.positions;
  const ahead = handled.ahead();
  return encodeCheckpoint({ log, offsets, ...(ahead.length === 0 ? {} : { ahead }) });
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
    const { offsets: firsts = [], ahead = [] } = checkpointIn(text, log) ?? {};
    // Offsets that the cloud has seen are never given to other records.
    const offsets = firsts.map((first, p) => Math.max(first, ahead[p]?.at(-1)?.[1] ?? 0));
    const before = furthest.get(stream) ?? [];
    const longer = offsets.length > before.length ? offsets : before;
    furthest.set(
      stream,
      longer.map((_, p) => Math.max(offsets[p] ?? 0, before[p] ?? 0)),
    );
  }
  return furthest;
}
