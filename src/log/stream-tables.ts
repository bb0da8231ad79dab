import type { StreamTable } from './format.ts';

/** The tables of a segment's header, and its next offsets as one row. Pure. */

export function tableOf(
  { streams }: { readonly streams: readonly StreamTable[] },
  stream: string,
): StreamTable | undefined {
  return streams.find(({ name }) => name === stream);
}

/** By their numbers, which stand in blocks. */
export function namesOf(streams: readonly StreamTable[]): ReadonlyMap<number, string> {
  return new Map(streams.map(({ number, name }) => [number, name]));
}

/** Next offsets as one row, stream after stream: the order of index entries too. */
export function flatOffsets(streams: readonly StreamTable[]): number[] {
  return streams.flatMap(({ nextOffsets }) => nextOffsets);
}

/** The tables with such a row in them; where the row ends they keep what they have. */
export function withOffsets(
  streams: readonly StreamTable[],
  row: readonly number[],
): StreamTable[] {
  let at = 0;
  return streams.map((table) => {
    const nextOffsets = table.nextOffsets.map((offset) => row[at++] ?? offset);
    return { ...table, nextOffsets };
  });
}

/** Where each partition stands in such a row. */
export class Slots {
  readonly #first = new Map<number, number>();
  readonly count: number;

  constructor(streams: readonly StreamTable[]) {
    let count = 0;
    for (const stream of streams) {
      this.#first.set(stream.number, count);
      count += stream.nextOffsets.length;
    }
    this.count = count;
  }

  of(stream: number, partition: number): number {
    return (this.#first.get(stream) ?? Number.NaN) + partition;
  }
}
