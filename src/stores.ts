import type { Clock, Random } from './base/clock.ts';
import type { Logger } from './base/logger.ts';
import { handledOffsets } from './log/checkpoint.ts';
import { Journal } from './log/journal.ts';
import { RECORD_OVERHEAD_BYTES } from './log/record-codec.ts';
import type { DroppedOffsets } from './log/retention.ts';
import type { WriteBudget } from './log/write-budget.ts';
import type { Config } from './ops/config.ts';
import type { DataFolder } from './ops/data-folder.ts';
import type { Files } from './os/files.ts';
import type { StateStore } from './os/state-store.ts';

export interface StoresOptions {
  readonly config: Config;
  readonly data: DataFolder;
  readonly files: Files;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** As `readBootId` gives it. */
  readonly boot: Uint8Array;
  /** Holds the checkpoints of consumers. */
  readonly state: StateStore;
  /** Both stores are on one card. */
  readonly budget: WriteBudget | undefined;
  /** Told of what retention drops from the store of readings or of events. */
  readonly onDrop: (dropped: readonly DroppedOffsets[]) => void;
}

/** The two journals: readings in one, what Headgate itself has to say in the other. */
export interface Stores {
  readonly telemetry: Journal;
  readonly events: Journal;
}

export const ALERTS = 'alerts';
export const DEAD_LETTER = 'dead-letter';
export const AUDIT = 'audit';

const HOUR_MS = 3_600_000;
/** Nobody waits for the books: they go with an alert or a dead letter, if one comes. */
const AUDIT_LINGER_MS = 2_000;
/** Events are few: their store takes a sixteenth of the space, in smaller segments. */
const EVENTS_SHARE = 16;
/**
 * The active one, the file of the next, one that is being packed, and one to keep: with fewer, a
 * flood of dead letters would take every alert with it.
 */
const MIN_SEGMENTS = 4;
/** Room for what a dead letter adds: its device's name once more, and its reason. */
const DEAD_LETTER_TEXT_BYTES = 4_096;

/** Opens both stores, recovered. */
export async function openStores(options: StoresOptions): Promise<Stores> {
  const { config, data, files, clock, random, logger, boot, budget, onDrop } = options;
  const { segmentBytes, retention } = config.log;
  const handled = (log: string) => handledOffsets(options.state, log);
  const { lingerMs, maxPendingBytes, compression, packing } = config.log;
  const log = { lingerMs, maxPendingBytes, compression, packing };
  const common = { ...log, files, clock, random, logger, boot, budget, onDrop, handled };
  const maxAgeMs = retention.maxAgeHours * HOUR_MS;
  // Whatever a packet may bring can become a dead letter, and a record is half a segment at most.
  const largest = config.mqtt.maxPacketBytes + RECORD_OVERHEAD_BYTES + DEAD_LETTER_TEXT_BYTES;
  const eventsBytes = Math.max(Math.floor(segmentBytes / EVENTS_SHARE), 2 * largest);
  const events = await Journal.open({
    ...common,
    folder: data.events,
    streams: [
      { name: ALERTS, partitions: 1, isUrgent: true },
      { name: DEAD_LETTER, partitions: 1 },
      { name: AUDIT, partitions: 1, lingerMs: AUDIT_LINGER_MS },
    ],
    segmentBytes: eventsBytes,
    retention: {
      maxBytes: Math.max(Math.floor(retention.maxBytes / EVENTS_SHARE), MIN_SEGMENTS * eventsBytes),
      maxAgeMs,
    },
  });
  try {
    const telemetry = await Journal.open({
      ...common,
      folder: data.telemetry,
      streams: Object.entries(config.streams).map(([name, stream]) => ({
        name,
        partitions: stream.partitions,
        lingerMs: stream.lingerMs,
      })),
      segmentBytes,
      retention: { maxBytes: retention.maxBytes, maxAgeMs, minFreeBytes: retention.minFreeBytes },
    });
    for (const stream of telemetry.streamNames.filter((name) => !(name in config.streams))) {
      logger.warn({ stream }, 'a stream is in the log and not in the configuration any more');
    }
    return { telemetry, events };
  } catch (error) {
    await events.close();
    throw error;
  }
}
