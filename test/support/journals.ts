import { type Random, seededRandom, systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { LogRecord, Reading } from '../../src/base/reading.ts';
import { Journal } from '../../src/log/journal.ts';
import type { JournalOptions } from '../../src/log/journal-options.ts';
import { StreamCursor } from '../../src/log/log-reader.ts';
import type { LogView } from '../../src/log/log-view.ts';
import type { Files } from '../../src/os/files.ts';

export const FOLDER = '/data/log/telemetry';

/** A journal with one stream, `readings`, of two partitions, for tests. */
export async function openTestJournal(
  files: Files,
  more: Partial<JournalOptions> = {},
): Promise<Journal> {
  const journal = await Journal.open({
    files,
    folder: FOLDER,
    streams: [{ name: 'readings', partitions: 2 }],
    clock: systemClock,
    random: seededRandom(1),
    logger: silentLogger,
    boot: new Uint8Array(8),
    lingerMs: 0,
    segmentBytes: 64 * 1024,
    // Bytes stay where a test has put them; compression and packing have tests of their own.
    compression: 'none',
    packing: false,
    maxPendingBytes: 1024 * 1024,
    retention: { maxBytes: 1024 * 1024 * 1024, maxAgeMs: 0 },
    ...more,
  });
  await journal.startUpkeep();
  return journal;
}

export function reading(device: string, text: string, more: Partial<Reading> = {}): Reading {
  return {
    device,
    topic: `sensors/${device}/t`,
    payload: Buffer.from(text),
    monoMs: systemClock.monoMs(),
    ...more,
  };
}

/** Resolves with the offset when durable; rejects otherwise. */
export function append(
  journal: Journal,
  partition: number,
  record: Reading,
  stream = 'readings',
): Promise<number> {
  return new Promise((resolve, reject) => {
    journal.append(journal.stream(stream), partition, record, (error, offset) =>
      error === undefined ? resolve(offset) : reject(error),
    );
  });
}

export async function readAll(
  files: Files,
  view: LogView,
  stream = 'readings',
  from: readonly number[] = [],
): Promise<LogRecord[]> {
  const cursor = new StreamCursor({ files, view, stream, from });
  const all: LogRecord[] = [];
  for (;;) {
    const records = await cursor.next();
    if (records === undefined) break;
    all.push(...records);
  }
  await cursor.close();
  return all;
}

/** Text that does not compress well. */
export function noiseOf(random: Random, length: number): string {
  let text = '';
  while (text.length < length) text += random().toString(36).slice(2);
  return text.slice(0, length);
}

export function textOf(record: LogRecord): string {
  return Buffer.from(record.payload).toString();
}
