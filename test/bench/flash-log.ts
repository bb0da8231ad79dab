/** What this log writes for the readings of one row, while its store fills and when it is full. */
import { join } from 'node:path';
import { setImmediate as soon } from 'node:timers/promises';
import { seededRandom, systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { Journal } from '../../src/log/journal.ts';
import type { JournalOptions } from '../../src/log/journal-options.ts';
import type { Files } from '../../src/os/files.ts';
import { countedFiles, type WrittenBytes } from './counted-files.ts';
import { SensorLoad, type SensorReading } from './sensor-load.ts';
import type { WriteMeter } from './write-meter.ts';

const STREAM = 'readings';
export const PARTITIONS = 4;
export const SEGMENT_BYTES = 4 * 1024 * 1024;
/** Segments that the store of a row may keep: full after a few, whatever a commit holds. */
const KEPT_SEGMENTS = 8;
const SEED = 1;

/**
 * Segments begun, counted from the first: nothing is counted before there are two files, then the
 * store fills, and from a while after the first one was dropped it is full.
 */
const FILLS_FROM = 2;
const FILLS_TO = 5;
const FULL_FROM = 11;
const FULL_TO = 15;
/** So many commits, then what is done beside them is waited for, as it is between real readings. */
const COMMITS_A_PAUSE = 32;

/** A batch that is larger is committed as soon as it can be: the journal's own bound. */
const FULL_BATCH_BYTES = 48 * 1024;
const RECORD_BYTES = 200;

/** What was written in a part of a run. */
export interface Phase {
  readonly commits: number;
  readonly readings: number;
  readonly payloadBytes: number;
  readonly deviceBytes: number;
  readonly written: Readonly<WrittenBytes>;
}

export interface LogFigures {
  readonly filling: Phase;
  readonly full: Phase;
}

export async function openLog(
  files: Files,
  folder: string,
  more: Partial<JournalOptions> = {},
): Promise<Journal> {
  const journal = await Journal.open({
    files,
    folder,
    streams: [{ name: STREAM, partitions: PARTITIONS }],
    clock: systemClock,
    random: seededRandom(SEED),
    logger: silentLogger,
    boot: new Uint8Array(8),
    lingerMs: 0,
    segmentBytes: SEGMENT_BYTES,
    maxPendingBytes: 32 * 1024 * 1024,
    retention: { maxBytes: KEPT_SEGMENTS * SEGMENT_BYTES, maxAgeMs: 0 },
    ...more,
  });
  await journal.startUpkeep();
  return journal;
}

/** Resolves when all of them are durable; rejects if one is refused. */
export function appendAll(journal: Journal, readings: readonly SensorReading[]): Promise<void> {
  const stream = journal.stream(STREAM);
  return new Promise((resolve, reject) => {
    let left = readings.length;
    for (const { partition, reading } of readings) {
      journal.append(stream, partition, reading, (error) => {
        left -= 1;
        if (error !== undefined) reject(error);
        else if (left === 0) resolve();
      });
    }
  });
}

/** Makes commits of a given number of readings, and counts what comes of them. */
class LogRun {
  readonly #journal: Journal;
  readonly #load: SensorLoad;
  readonly #size: number;
  readonly #isLarge: boolean;
  #begun = 1;
  #active: number | undefined;
  #last: Promise<void> = Promise.resolve();
  readings = 0;

  constructor(journal: Journal, load: SensorLoad, size: number) {
    this.#journal = journal;
    this.#load = load;
    this.#size = size;
    this.#isLarge = size * RECORD_BYTES >= FULL_BATCH_BYTES;
    this.#active = journal.segments().at(-1)?.sequence;
  }

  /** Until so many segments have begun, all that was appended is durable, and nothing goes on. */
  async until(begun: number): Promise<void> {
    for (let i = 1; this.#begun < begun; i++) {
      await this.commit();
      const active = this.#journal.segments().at(-1)?.sequence;
      if (active !== this.#active) this.#begun += 1;
      this.#active = active;
      if (i % COMMITS_A_PAUSE === 0) await this.#journal.retain();
    }
    await this.#last;
    await this.#journal.retain();
  }

  /**
   * One commit. The journal takes a large batch before it is whole if it has nothing else to do: so
   * that it has, such a batch is handed over while the one before is on its way.
   */
  async commit(): Promise<void> {
    const before = this.#last;
    const batch = this.#load.many(this.#size, systemClock.wallMs(), systemClock.monoMs());
    this.#last = appendAll(this.#journal, batch);
    this.readings += batch.length;
    await (this.#isLarge ? before : this.#last);
    // By then the journal has begun with what it was given.
    if (this.#isLarge) await soon();
  }
}

/**
 * A store in a new folder that has the files it needs, and the commits to go on with: each of
 * `size` readings.
 */
export async function startLog(files: Files, folder: string, size: number) {
  const journal = await openLog(files, folder);
  const load = new SensorLoad({ seed: SEED, partitions: PARTITIONS });
  const run = new LogRun(journal, load, size);
  await run.until(FILLS_FROM);
  return { journal, load, run };
}

/** Runs one row on a device of its own. */
export async function measureLog(meter: WriteMeter, size: number): Promise<LogFigures> {
  const files = countedFiles();
  const { journal, load, run } = await startLog(files, join(meter.folder, 'log'), size);
  const look = (deviceBytes: number): Phase => {
    const { zeros, packed, blocks } = files.written;
    return {
      commits: journal.status().commits,
      readings: run.readings,
      payloadBytes: load.payloadBytes,
      deviceBytes: meter.method === 'device' ? deviceBytes : zeros + packed + blocks,
      written: { zeros, packed, blocks },
    };
  };
  const fillsFrom = look(meter.bytes());
  await run.until(FILLS_TO);
  const fillsTo = look(meter.bytes());
  await run.until(FULL_FROM);
  const fullFrom = look(meter.bytes());
  await run.until(FULL_TO);
  await journal.close();
  return { filling: between(fillsFrom, fillsTo), full: between(fullFrom, look(meter.lastBytes())) };
}

function between(from: Phase, to: Phase): Phase {
  return {
    commits: to.commits - from.commits,
    readings: to.readings - from.readings,
    payloadBytes: to.payloadBytes - from.payloadBytes,
    deviceBytes: to.deviceBytes - from.deviceBytes,
    written: {
      zeros: to.written.zeros - from.written.zeros,
      packed: to.written.packed - from.written.packed,
      blocks: to.written.blocks - from.written.blocks,
    },
  };
}
