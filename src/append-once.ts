import { HeadgateError } from './base/errors.ts';
import type { Reading } from './base/reading.ts';
import type { Dedup } from './dedup/dedup.ts';
import type { Journal } from './log/journal.ts';
import type { Stream } from './log/stream.ts';

/** When a reading may be acknowledged: once it is durable, or once it waits in memory for that. */
export type Ack = 'durable' | 'received';

/** A stream whose readings are told from their repeats. */
export interface OnceStream {
  readonly journal: Journal;
  readonly stream: Stream;
  readonly dedup: Dedup;
  readonly ack: Ack;
}

/** What became of a reading: durable now, durable before, or nowhere. */
export type Outcome = 'stored' | 'repeat' | HeadgateError;

/**
 * Appends a reading unless it is a repeat. Dedup is asked at once, before anything is waited for. A
 * repeat of what is on its way ends as the first one does, and no sooner, unless that one was
 * acknowledged already and `ack` allows as much for this one. Returns true if the reading may be
 * acknowledged before `done` is called: the stream allows it, and the log keeps up, so that little
 * more than a linger of it can be lost.
 */
export function appendOnce(
  { journal, stream, dedup, ack }: OnceStream,
  partition: number,
  reading: Reading,
  done: (outcome: Outcome) => void,
): boolean {
  const sighting = dedup.claim(reading, journal.runMs(reading.monoMs));
  if (sighting?.kind === 'known') {
    done('repeat');
    return false;
  }
  if (sighting?.kind === 'in-flight') {
    if (sighting.claim.isAcknowledged && ack === 'received') {
      done('repeat');
      return false;
    }
    sighting.claim.wait((durable) => {
      const failed = 'the first of these could not be stored';
      done(durable ? 'repeat' : new HeadgateError('LOG_NOT_DURABLE', failed));
    });
    return false;
  }
  const keepsUp = journal.append(stream, partition, reading, (error) => {
    if (error === undefined) sighting?.claim.settle();
    else sighting?.claim.release();
    done(error ?? 'stored');
  });
  const isAcknowledged = keepsUp && ack === 'received';
  if (sighting !== undefined) sighting.claim.isAcknowledged = isAcknowledged;
  return isAcknowledged;
}
