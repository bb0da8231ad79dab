import { appendOnce, type Outcome } from '../../src/append-once.ts';
import { seededRandom } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { Reading } from '../../src/base/reading.ts';
import { DedupKeeper, type DedupKeeperOptions } from '../../src/dedup-keeper.ts';
import { Journal } from '../../src/log/journal.ts';
import type { JournalOptions } from '../../src/log/journal-options.ts';
import type { PageStore } from '../../src/os/page-store.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeFiles, type Life } from './fake-files.ts';
import { FOLDER, readAll } from './journals.ts';
import { MemoryPages } from './memory-pages.ts';

export type LifeOptions = Partial<DedupKeeperOptions> & Pick<Partial<JournalOptions>, 'retention'>;

const STREAM = 'readings';

/** A log and its dedup windows, through crashes and restarts. */
export class DedupLife {
  readonly files = new FakeFiles();
  readonly pages = new MemoryPages();
  readonly clock = new FakeClock();
  readonly #options: LifeOptions;
  #life: Life = this.files.live();
  #isDead = { value: false };
  #parts: { readonly journal: Journal; readonly keeper: DedupKeeper } | undefined;

  constructor(options: LifeOptions) {
    this.#options = options;
  }

  get journal(): Journal {
    return this.#open.journal;
  }

  get keeper(): DedupKeeper {
    return this.#open.keeper;
  }

  get #open() {
    if (this.#parts === undefined) throw new Error('not started');
    return this.#parts;
  }

  async start(): Promise<void> {
    this.#life = this.files.live();
    this.#isDead = { value: false };
    const { files } = this.#life;
    const { clock } = this;
    const { retention = { maxBytes: 1e9, maxAgeMs: 0 } } = this.#options;
    const journal = await Journal.open({
      files,
      folder: FOLDER,
      streams: [{ name: STREAM, partitions: 2 }],
      clock,
      random: seededRandom(1),
      logger: silentLogger,
      boot: new Uint8Array(8),
      lingerMs: 0,
      segmentBytes: 32 * 1024,
      compression: 'none',
      packing: false,
      maxPendingBytes: 1024 * 1024,
      retention,
    });
    const keeper = await DedupKeeper.open({
      stream: STREAM,
      journal,
      files,
      pages: mortal(this.pages, this.#isDead),
      clock,
      logger: silentLogger,
      budget: undefined,
      mode: 'auto',
      windowMs: 1e9,
      windowIds: 100_000,
      maxIds: 60,
      maxStoredIds: 100_000,
      maxDevices: 20,
      ...this.#options,
    });
    await journal.startUpkeep();
    this.#parts = { journal, keeper };
  }

  /** Ends as the reading does: stored, repeat, or an error. */
  send(reading: Reading, partition = 0): Promise<Outcome> {
    const { journal, keeper } = this.#open;
    const stream = journal.stream(STREAM);
    const target = { journal, stream, dedup: keeper.dedup, ack: 'durable' as const };
    return new Promise((resolve) => {
      appendOnce(target, partition, reading, resolve);
    });
  }

  async stop(): Promise<void> {
    await this.keeper.stop();
    await this.journal.close();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** What it has written stays; what it still tries fails. */
  async kill(): Promise<void> {
    this.#life.kill();
    this.#isDead.value = true;
    await this.start();
  }

  /** Of what was not synced, some is left of the log and the first writes of the state. */
  async powerCut(random: () => number): Promise<void> {
    this.#life.kill();
    this.#isDead.value = true;
    this.files.powerCut(() => random() < 0.5);
    this.pages.powerCut(Math.floor(random() * (this.pages.unsynced + 1)));
    await this.start();
  }

  /** Message ids in the log. */
  async ids(): Promise<string[]> {
    const records = await readAll(this.files, this.journal, STREAM);
    return records.map(({ device, messageId }) => `${device} ${messageId?.text}`);
  }
}

/** The store as one process sees it. */
function mortal(pages: MemoryPages, isDead: { readonly value: boolean }): PageStore {
  const alive = () => {
    if (isDead.value) throw new Error('dead');
    return pages;
  };
  return {
    getSync: (key) => alive().getSync(key),
    write: async (entries, options) => alive().write(entries, options),
    entries: (folder) => alive().entries(folder),
    clear: async (from, to) => alive().clear(from, to),
  };
}

/** A reading with an id. */
export const withId = (life: DedupLife, device: string, text: string, more = ''): Reading => ({
  device,
  topic: `sensors/${device}/t`,
  payload: Buffer.from(`${text} ${more}`),
  messageId: { kind: 'id', text },
  monoMs: life.clock.monoMs(),
});

/** A reading with a boot and a number. */
export const numbered = (
  life: DedupLife,
  device: string,
  boot: string,
  sequence: number,
): Reading => ({
  ...withId(life, device, `${boot}:${sequence}`),
  messageId: { kind: 'sequence', text: `${boot}:${sequence}`, boot, sequence },
});

export async function started(options: LifeOptions = {}): Promise<DedupLife> {
  const life = new DedupLife(options);
  await life.start();
  return life;
}
