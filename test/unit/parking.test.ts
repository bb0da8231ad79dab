import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Books } from '../../src/audit/books.ts';
import { newCounters } from '../../src/base/counters.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { LogRecord, Reading } from '../../src/base/reading.ts';
import { Checkpoints } from '../../src/checkpoints.ts';
import { checkpointKey } from '../../src/log/checkpoint.ts';
import type { Journal } from '../../src/log/journal.ts';
import { SplitConsumer } from '../../src/log/split-consumer.ts';
import { Parking } from '../../src/parking.ts';
import { CloudRefusal } from '../../src/uplink/cloud-link.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FakeFiles } from '../support/fake-files.ts';
import { append, openTestJournal, readAll, reading, textOf } from '../support/journals.ts';
import { memoryState } from '../support/memory-state.ts';

const STREAM = 'readings';
const MAY = Date.UTC(2026, 4, 4, 12);
const REFUSED = new CloudRefusal('never', 'reason 0x87');
const TOO_LARGE = new CloudRefusal('too-large', 'reason 0x95');

let files: FakeFiles;
let state: ReturnType<typeof memoryState>;
let boots = 0;

beforeEach(() => {
  files = new FakeFiles();
  state = memoryState();
});

/** A life of the daemon, on a boot of its own. What was not saved is gone with it. */
class Life {
  readonly clock = new FakeClock();
  readonly counters = newCounters();
  readonly books = new Books({ bucketMs: 60_000 });
  readonly error = vi.fn<typeof silentLogger.error>();
  readonly checkpoints = new Checkpoints({ state, logger: silentLogger });

  readonly telemetry: Journal;
  readonly events: Journal;

  private constructor(telemetry: Journal, events: Journal, monoMs: number) {
    this.telemetry = telemetry;
    this.events = events;
    Object.assign(this.clock, { mono: monoMs, wall: MAY });
  }

  static async start(monoMs = 1_000) {
    const clock = Object.assign(new FakeClock(), { mono: monoMs, wall: MAY });
    boots += 1;
    const boot = new Uint8Array(8).fill(boots);
    const one = (name: string) => ({ name, partitions: 1 });
    const telemetry = await openTestJournal(files, { clock, boot, streams: [one(STREAM)] });
    const folder = '/data/log/events';
    const events = await openTestJournal(files, {
      ...{ clock, boot, folder },
      streams: [one('dead-letter')],
    });
    const life = new Life(telemetry, events, monoMs);
    for (const [name, log] of [
      [STREAM, telemetry.logId],
      ['dead-letter', events.logId],
    ] as const) {
      const head = { booked: [0], expiredTo: [0], forwards: true };
      life.books.open({ name, log, takesMessages: name === STREAM }, head);
    }
    const consumers = await Promise.all(
      [[STREAM, telemetry] as const, ['dead-letter', events] as const].map(
        async ([stream, journal]) => {
          const stored = await state.get(checkpointKey('uplink', stream));
          return new SplitConsumer({ name: 'uplink', stream, journal, files, stored });
        },
      ),
    );
    const { counters, books, error } = life;
    const logger = { ...silentLogger, error };
    const about = { events, state, files, clock, logger, counters, books, consumers };
    const ends = new Map(
      [telemetry, events].map((one, i) => {
        const stream = i === 0 ? STREAM : 'dead-letter';
        return [stream, one.nextOffsets(stream)] as const;
      }),
    );
    const parking = await Parking.open(about, ends);
    for (const source of [...consumers, parking]) {
      life.checkpoints.add(() => source.checkpoint());
    }
    const [consumer, letters] = consumers;
    if (consumer === undefined || letters === undefined) throw new Error('there are two');
    return { life, parking, consumer, letters };
  }

  store(text: string, more: Partial<Reading> = {}): Promise<number> {
    const record = reading('d', text, { monoMs: this.clock.mono, ...more });
    return append(this.telemetry, 0, record, STREAM);
  }

  async record(offset: number): Promise<LogRecord> {
    const found = (await readAll(files, this.telemetry)).find((one) => one.offset === offset);
    if (found === undefined) throw new Error(`nothing at ${offset}`);
    return found;
  }

  letters(): Promise<LogRecord[]> {
    return readAll(files, this.events, 'dead-letter');
  }

  parkedInBooks(stream = STREAM): number {
    const buckets = [...(this.books.of(stream)?.buckets.values() ?? [])];
    return buckets.reduce((sum, { counts }) => sum + counts.parked, 0);
  }

  /** Killed: what is on flash stays. */
  async kill(): Promise<void> {
    await this.telemetry.close();
    await this.events.close();
  }
}

describe('a record that the cloud does not take', () => {
  it.each([
    [REFUSED, 'CLOUD_REFUSED'],
    [TOO_LARGE, 'CLOUD_TOO_LARGE'],
  ])('is a dead letter with the reason, and done with: %s', async (refusal, reason) => {
    const { life, parking, consumer } = await Life.start();
    const messageId = { kind: 'id', text: 'm-1' } as const;
    await life.store('{"n":1}', { messageId, deviceTimeMs: 1_795_000_000_000 });
    await parking.park(await life.record(0), refusal);
    const [letter, ...others] = await life.letters();
    expect(letter).toMatchObject({
      ...{ device: 'd', topic: 'sensors/d/t', reason, messageId, deviceTimeMs: 1_795_000_000_000 },
    });
    expect(others).toEqual([]);
    expect(letter === undefined ? '' : textOf(letter)).toBe('{"n":1}');
    expect([life.counters.parked, life.parkedInBooks()]).toEqual([1, 1]);
    expect(consumer.progress.position(0)).toBe(1);
    const [[fields] = []] = life.error.mock.calls;
    expect(fields).toMatchObject({ code: reason, stream: STREAM, partition: 0, offset: 0 });
    // It stays where it was, too.
    expect(await life.record(0)).toMatchObject({ offset: 0 });
    await life.kill();
  });

  it('is handled in the turn in which the letter is on flash, with its books', async () => {
    const { life, parking, consumer } = await Life.start();
    await life.store('1');
    const seen: unknown[] = [];
    life.events.onCommit(() => {
      seen.push([life.counters.parked, life.parkedInBooks(), consumer.progress.position(0)]);
    });
    await parking.park(await life.record(0), REFUSED);
    expect(seen).toEqual([[1, 1, 1]]);
    await life.kill();
  });

  it('of an earlier boot gets a letter of now: its clock says nothing any more', async () => {
    const first = await Life.start(900_000_000);
    await first.life.store('old');
    await first.life.kill();
    const { life, parking } = await Life.start(5_000);
    await parking.park(await life.record(0), REFUSED);
    const [letter] = await life.letters();
    expect(letter?.receivedAtMs).toBe(MAY);
    expect(letter?.monoMs).toBe(5_000);
    await life.kill();
  });

  it('is nothing of that while the letter cannot be written', async () => {
    const { life, parking, consumer } = await Life.start();
    await life.store('1');
    const record = await life.record(0);
    files.fault = (operation) => (operation === 'sync' ? 'EIO' : undefined);
    await expect(parking.park(record, REFUSED)).rejects.toThrow();
    expect([life.counters.parked, life.parkedInBooks()]).toEqual([0, 0]);
    expect(consumer.progress.position(0)).toBe(0);
    files.fault = () => undefined;
    await life.kill();
  });

  it('is one letter, although it is refused on two links', async () => {
    const { life, parking } = await Life.start();
    await life.store('1');
    const record = await life.record(0);
    await Promise.all([parking.park(record, REFUSED), parking.park(record, TOO_LARGE)]);
    await parking.park(record, REFUSED);
    expect(await life.letters()).toHaveLength(1);
    expect([life.counters.parked, life.parkedInBooks()]).toEqual([1, 1]);
    await life.kill();
  });

  it('and is a dead letter already is made no other', async () => {
    const { life, parking } = await Life.start();
    const about = { monoMs: life.clock.mono, reason: 'PAYLOAD_EMPTY' };
    await append(life.events, 0, reading('d', 'x', about), 'dead-letter');
    const [letter] = await life.letters();
    if (letter === undefined) throw new Error('one was stored');
    await parking.park(letter, TOO_LARGE);
    expect(await life.letters()).toHaveLength(1);
    expect([life.counters.parked, life.parkedInBooks('dead-letter')]).toEqual([1, 1]);
    await life.kill();
  });
});

describe('after a kill between the letter and the checkpoint', () => {
  async function killed(...texts: string[]): Promise<void> {
    const { life, parking } = await Life.start();
    for (const text of texts) await life.store(text);
    await life.checkpoints.save();
    await parking.park(await life.record(0), REFUSED);
    await life.kill();
  }

  it('the record has one letter, and is counted once', async () => {
    await killed('1', '2');
    const { life, parking, consumer } = await Life.start();
    expect(consumer.progress.position(0)).toBe(0);
    await parking.park(await life.record(0), TOO_LARGE);
    expect(await life.letters()).toHaveLength(1);
    expect([life.counters.parked, life.parkedInBooks()]).toEqual([1, 1]);
    expect(consumer.progress.position(0)).toBe(1);
    // Another one is not it.
    await parking.park(await life.record(1), REFUSED);
    expect((await life.letters()).map(textOf)).toEqual(['1', '2']);
    await life.kill();
  });

  it('one that says the same has a letter of its own', async () => {
    await killed('1', '1');
    const { life, parking } = await Life.start();
    for (const offset of [0, 1]) await parking.park(await life.record(offset), REFUSED);
    expect(await life.letters()).toHaveLength(2);
    await life.kill();
  });

  it('and another one, after a checkpoint before it came again', async () => {
    await killed('1');
    const second = await Life.start();
    await second.life.checkpoints.save();
    await second.life.kill();
    const { life, parking } = await Life.start();
    await parking.park(await life.record(0), REFUSED);
    expect(await life.letters()).toHaveLength(1);
    await life.kill();
  });

  it('it is not looked for once all that was there has gone', async () => {
    await killed('1');
    const second = await Life.start();
    // The cloud takes it after all, and the letter.
    second.consumer.fresh.handled(0, { from: 0, to: 1 });
    second.letters.fresh.handled(0, { from: 0, to: 1 });
    await second.life.checkpoints.save();
    expect(state.stored.get('parked/letters')).toContain('"from":1');
    await second.life.kill();
    await (await Life.start()).life.kill();
  });

  it('one that comes later and says the same has a letter of its own', async () => {
    await killed('1');
    const { life, parking } = await Life.start();
    await life.store('1');
    await parking.park(await life.record(1), REFUSED);
    expect(await life.letters()).toHaveLength(2);
    await life.kill();
  });

  it('what was never a reading is no letter of a record', async () => {
    const first = await Life.start();
    await first.life.store('1');
    await first.life.checkpoints.save();
    const about = { monoMs: first.life.clock.mono, reason: 'PAYLOAD_NOT_A_READING' };
    await append(first.life.events, 0, reading('d', '1', about), 'dead-letter');
    await first.life.kill();
    const { life, parking } = await Life.start();
    await parking.park(await life.record(0), REFUSED);
    expect(await life.letters()).toHaveLength(2);
    await life.kill();
  });

  it('the same without the state store: every record comes again then', async () => {
    await killed('1');
    state.stored.clear();
    const { life, parking } = await Life.start();
    await parking.park(await life.record(0), REFUSED);
    expect(await life.letters()).toHaveLength(1);
    await life.kill();
  });

  it('a letter whose record is handled is no letter of one that says the same', async () => {
    await killed('old', '21.5', '21.5');
    const second = await Life.start();
    await second.parking.park(await second.life.record(1), REFUSED);
    // The first record has not come again: its letter stays open, and only that one.
    await second.life.checkpoints.save();
    await second.life.kill();
    const { life, parking } = await Life.start();
    await parking.park(await life.record(2), REFUSED);
    expect((await life.letters()).map(textOf)).toEqual(['old', '21.5', '21.5']);
    await parking.park(await life.record(0), REFUSED);
    expect(await life.letters()).toHaveLength(3);
    await life.kill();
  });

  it('letters beyond number are taken up, and a checkpoint has them', async () => {
    const count = 130_000;
    const first = await Life.start();
    await first.life.store('1');
    const about = { monoMs: first.life.clock.mono, reason: 'CLOUD_REFUSED' };
    const { events } = first.life;
    const letters = Array.from({ length: count }, (_, i) => reading('d', `${i % 2}`, about));
    for (let from = 0; from < count; from += 10_000) {
      const some = letters.slice(from, from + 10_000);
      await Promise.all(some.map((letter) => append(events, 0, letter, 'dead-letter')));
    }
    await first.life.kill();
    const { life } = await Life.start();
    expect(await life.checkpoints.save()).toBe(true);
    const saved = state.stored.get('parked/letters') ?? '';
    expect(JSON.parse(saved)).toMatchObject({ from: count, open: [[0, count - 1]] });
    await life.kill();
  }, 30_000);
});
