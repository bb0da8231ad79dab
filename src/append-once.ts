import { HeadgateError } from './base/errors.ts';
import type { Reading } from './base/reading.ts';
import type { Dedup } from './dedup/dedup.ts';
import type { Journal } from './log/journal.ts';
import type { Stream } from './log/stream.ts';

/** A stream whose readings are told from their repeats. */
export interface OnceStream {
  readonly journal: Journal;
  readonly stream: Stream;
  readonly dedup: Dedup;
}

/** What became of a reading: durable now, durable before, or nowhere. */
export type Outcome = 'stored' | 'repeat' | HeadgateError;

/**
 * Appends a reading unless it is a repeat. Dedup is asked at once, before anything is waited for. A
 * repeat of what is on its way ends as the first one does, and no sooner.
 */
export function appendOnce(
  { journal, stream, dedup }: OnceStream,
  partition: number,
  reading: Reading,
  done: (outcome: Outcome) => void,
): void {
  const sighting = dedup.claim(reading, journal.runMs(reading.monoMs));
  if (sighting?.kind === 'known') {
    done('repeat');
    return;
  }
  if (sighting?.kind === 'in-flight') {
    sighting.claim.wait((durable) => {
      const failed = 'the first of these could not be stored';
      done(durable ? 'repeat' : new HeadgateError('LOG_NOT_DURABLE', failed));
    });
    return;
  }
  journal.append(stream, partition, reading, (error) => {
    if (error === undefined) sighting?.claim.settle();
    else sighting?.claim.release();
    done(error ?? 'stored');
  });
}
