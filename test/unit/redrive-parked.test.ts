import { expect, it } from 'vitest';
import { Books } from '../../src/audit/books.ts';
import { systemClock } from '../../src/base/clock.ts';
import { newCounters } from '../../src/base/counters.ts';
import { silentLogger as logger } from '../../src/base/logger.ts';
import { DeadLetters } from '../../src/dead-letters.ts';
import { Dedup } from '../../src/dedup/dedup.ts';
import { TopicMap } from '../../src/ingest/topic-map.ts';
import { Pipeline } from '../../src/pipeline.ts';
import { FakeFiles } from '../support/fake-files.ts';
import { append, openTestJournal, readAll, reading, textOf } from '../support/journals.ts';
import { memoryState } from '../support/memory-state.ts';
import { autoRules } from '../support/reading-rules.ts';

// A record that the uplink set aside stands in its stream and among the dead letters.

const PATTERN = { stream: 'readings', partitions: 2, pattern: 'sensors/<device>/#' };
const WINDOW = { windowMs: 1e9, windowIds: 1_000, maxIds: 1_000, maxDevices: 100 };
const TEXT = '{"n":1,"id":"m-1"}';

it.each(['CLOUD_REFUSED', 'CLOUD_TOO_LARGE'])(
  '%s: goes to the cloud again, once',
  async (reason) => {
    const files = new FakeFiles();
    const state = memoryState();
    const journal = await openTestJournal(files);
    const streams = [{ name: 'dead-letter', partitions: 1 }];
    const events = await openTestJournal(files, { folder: '/data/log/events', streams });
    const counters = newCounters();
    const dedup = new Dedup({ mode: 'auto', ...WINDOW });
    const about = { stream: journal.stream('readings'), rules: autoRules(100) };
    const pipeline = new Pipeline({
      ...{ events, clock: systemClock, counters, logger },
      topics: new TopicMap([PATTERN]),
      streams: new Map([['readings', { ...about, ack: 'durable' as const, journal, dedup }]]),
      deadLetters: events.stream('dead-letter'),
      books: new Books({ bucketMs: 60_000 }),
    });
    const letters = new DeadLetters({ files, events, state, pipeline, logger });
    const redrive = async (more: object = {}) => {
      const options = {
        again: false,
        dryRun: false,
        signal: new AbortController().signal,
        ...more,
      };
      return (await letters.redrive([0], options)).rows.map(({ outcome }) => outcome);
    };

    const record = reading('d', TEXT, { messageId: { kind: 'id', text: 'm-1' } });
    await new Promise<void>((resolve, reject) => {
      const message = { clientId: 'c', topic: record.topic, payload: record.payload, qos: 1 };
      pipeline.accept({ ...message, retain: false, dup: false } as never, (error) =>
        error === undefined ? resolve() : reject(error),
      );
    });
    await append(events, 0, { ...record, reason }, 'dead-letter');
    expect(await redrive({ dryRun: true })).toEqual(['stored']);
    expect(await redrive()).toEqual(['stored']);
    const found = await readAll(files, journal);
    expect(found.map(textOf)).toEqual([TEXT, TEXT]);
    // By its device's own id it would have passed for a repeat of the record that stands there.
    const ids = found.map(({ messageId }) => messageId?.text);
    expect(ids).toEqual(['m-1', `dead-letter:${events.logId}:0`]);
    expect(await redrive()).toEqual(['already-redriven']);
    // Nor by force, or without the note.
    expect(await redrive({ again: true })).toEqual(['duplicate']);
    state.stored.clear();
    expect(await redrive()).toEqual(['duplicate']);
    expect([counters.received, counters.stored, counters.duplicates]).toEqual([4, 2, 2]);
    await journal.close();
    await events.close();
  },
);
