import { setImmediate as turn } from 'node:timers/promises';
import type { LogRecord } from './base/reading.ts';
import type { Decoder } from './decode/decoder.ts';
import { SampleReader } from './decode/sample-reader.ts';
import type { Journal } from './log/journal.ts';
import { StreamCursor } from './log/log-reader.ts';
import { offsetsAtRun } from './log/offsets-at-run.ts';
import type { Files } from './os/files.ts';
import type { Windows } from './windows/windows.ts';

export interface RecalledStream {
  readonly stream: string;
  readonly decoder: Decoder;
  /** Offset to end before, per partition: from there on detection hands over what it reads. */
  readonly to: readonly number[];
  /** What is stored of the decoder's memory, by its own keys. */
  readonly memory: ReadonlyMap<string, string>;
}

export interface RecallOptions extends RecalledStream {
  readonly windows: Windows;
  readonly journal: Journal;
  /** Paced: acknowledgements come first. */
  readonly files: Files;
  /** What came at this time of the run clock or later is read. */
  readonly fromRunMs: number;
  readonly signal: AbortSignal;
}

const RECORDS_PER_TURN = 128;

/** Makes the windows again from the log: what came before the start. */
export async function recallStream(options: RecallOptions): Promise<void> {
  const { stream, decoder, to, memory, journal, files, fromRunMs, signal } = options;
  const reader = new SampleReader(decoder);
  reader.memory?.restore(memory);
  const from = await offsetsAtRun(files, journal, stream, fromRunMs);
  const cursor = new StreamCursor({ files, view: journal, stream, from });
  const isOver = () => to.every((end, p) => (cursor.position[p] ?? 0) >= end);
  try {
    while (!signal.aborted && !isOver()) {
      const records = await cursor.next();
      if (records === undefined) return;
      await recall(records, reader, options);
    }
  } finally {
    await cursor.close();
  }
}

async function recall(
  records: readonly LogRecord[],
  reader: SampleReader,
  { windows, to, fromRunMs, signal }: RecallOptions,
): Promise<void> {
  for (const [i, record] of records.entries()) {
    if (i % RECORDS_PER_TURN === RECORDS_PER_TURN - 1) await turn();
    if (signal.aborted) return;
    if (record.offset >= (to[record.partition] ?? 0)) continue;
    // Also of what is too old: later messages may be read by it.
    const samples = reader.read(record);
    if (record.runMs >= fromRunMs) windows.recall(record, samples);
  }
}
