import type { StreamTable } from './format.ts';
import type { JournalOptions } from './journal-options.ts';
import type { Slot, Stream } from './stream.ts';

/** The streams of a journal, and the partitions of all of them in one row. */
export interface StreamMap {
  readonly streams: ReadonlyMap<string, Stream>;
  readonly slots: readonly Slot[];
}

/** `tables`: the streams of the log and of the options together. */
export function streamMap(
  tables: readonly StreamTable[],
  { streams: wanted, lingerMs: ofAll }: Pick<JournalOptions, 'streams' | 'lingerMs'>,
): StreamMap {
  const slots: Slot[] = [];
  const streams = new Map<string, Stream>();
  for (const { number, name, nextOffsets } of tables) {
    const partitions = nextOffsets.length;
    const own = wanted.find((stream) => stream.name === name);
    const { lingerMs = ofAll, isUrgent = false } = own ?? {};
    streams.set(name, { name, partitions, firstSlot: slots.length, lingerMs, isUrgent });
    for (let p = 0; p < partitions; p++) slots.push({ stream: number, partition: p });
  }
  return { streams, slots };
}
