import type { Clock } from './base/clock.ts';
import { codeOf, messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import { DAY_MS, WriteBudget } from './log/write-budget.ts';
import { HOUR_MS, WriteHours, type Written } from './log/write-hours.ts';
import type { Config } from './ops/config.ts';
import type { StateStore } from './os/state-store.ts';

/**
 * What the card is made to bear: in bytes as they are handed to the kernel, of the log and, keys
 * and values once, of the state store. What the file system and the card's controller make of them
 * comes on top and cannot be seen from here. Names are stable: others script against them.
 */
export interface FlashStatus {
  /** In the last 24 hours of running, to the hour. */
  readonly writtenTodayBytes: number;
  /** Payloads that became durable in that time. */
  readonly payloadTodayBytes: number;
  /** Bytes written per byte of payload in that time; absent without payload. */
  readonly amplification?: number;
  /** The same since the start of the daemon. */
  readonly amplificationSinceStart?: number;
  /** What a day writes at the rate of that time; in its first ten minutes as if these were over. */
  readonly projectedBytesPerDay: number;
  /** 0: there is none. */
  readonly budgetBytesPerDay: number;
  /** More was written than budget and burst, though commits wait as long as they may. */
  readonly overBudget: boolean;
  /** How long a reading waits for company at present, at most: of a stream without its own. */
  readonly lingerMs: number;
  /**
   * Until the card has been written `flash.cardTBW`, from new, at that rate; absent at rest, and
   * before ten minutes of running are counted.
   */
  readonly lifeYears?: number;
}

/** Since the start of the process. */
export interface WrittenTotals extends Written {
  /** Of `writtenBytes`, what the journals have not told the budget of: the state store's. */
  readonly stateBytes: number;
}

export interface WearOptions {
  readonly config: Pick<Config, 'flash' | 'log'>;
  readonly state: StateStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

const KEY = 'wear';
const SAMPLE_EVERY_MS = 60_000;
/**
 * A count that is younger says nothing of a day, let alone of years: new files are most of it. It
 * is taken to be that old.
 */
const MIN_COVERED_MS = 600_000;
const DAYS_PER_YEAR = 365.25;
const NONE: WrittenTotals = { writtenBytes: 0, payloadBytes: 0, stateBytes: 0 };

interface Stored {
  readonly runMs: number;
  readonly hours: WriteHours;
  readonly allowanceBytes: number | undefined;
  /** It was saved at a stop: nothing has been written since. */
  readonly isFinal: boolean;
}

function storedIn(text: string | undefined): Stored | undefined {
  try {
    const parsed = JSON.parse(text ?? '{}') as Record<string, unknown>;
    const { runMs, hours, allowanceBytes, isFinal } = parsed;
    const known = WriteHours.decode(hours);
    if (known === undefined || typeof runMs !== 'number' || !(runMs >= 0)) return undefined;
    const isNumber = typeof allowanceBytes === 'number';
    const allowance = isNumber ? allowanceBytes : undefined;
    return { runMs, hours: known, allowanceBytes: allowance, isFinal: isFinal === true };
  } catch {
    return undefined;
  }
}

/**
 * What may be written at once. After a kill nobody knows how much of it was: nothing is left then,
 * or a gateway that is killed often enough would have a whole burst each time.
 */
function allowanceAfter(stored: Stored | undefined): number | undefined {
  if (stored === undefined || stored.isFinal) return stored?.allowanceBytes;
  return Math.min(0, stored.allowanceBytes ?? 0);
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

function ratio({ writtenBytes, payloadBytes }: Written): number | undefined {
  return payloadBytes === 0 ? undefined : rounded(writtenBytes / payloadBytes);
}

/**
 * Counts what is written, by the hour of running time, and keeps the count across restarts in one
 * small entry that is written once an hour and at a stop, and with a budget at the start. A kill
 * forgets what came since, bytes and running time alike, so the rate stays true.
 */
export class Wear {
  /** For the journals. undefined: there is none. */
  readonly budget: WriteBudget | undefined;
  readonly #options: WearOptions;
  readonly #hours: WriteHours;
  readonly #runAtStart: number;
  readonly #monoAtStart: number;
  #totals: () => WrittenTotals = () => NONE;
  #seen = NONE;
  #savedHour: number;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();

  private constructor(options: WearOptions, stored: Stored | undefined) {
    this.#options = options;
    this.#hours = stored?.hours ?? WriteHours.none();
    this.#runAtStart = stored?.runMs ?? 0;
    this.#monoAtStart = options.clock.monoMs();
    this.#savedHour = this.#hour;
    const { budgetMBPerDay, maxLingerMs } = options.config.flash;
    if (budgetMBPerDay > 0) {
      const allowanceBytes = allowanceAfter(stored);
      const bytesPerDay = budgetMBPerDay * 1e6;
      const limits = { bytesPerDay, maxLingerMs, allowanceBytes };
      this.budget = new WriteBudget(limits, this.#monoAtStart);
    }
  }

  /** Takes up the count of earlier processes. */
  static async open(options: WearOptions): Promise<Wear> {
    const text = await options.state.get(KEY);
    const stored = storedIn(text);
    if (text !== undefined && stored === undefined) {
      options.logger.warn(
        { key: KEY },
        'the count of bytes written is not readable: it begins anew',
      );
    }
    const wear = new Wear(options, stored);
    // From here on a kill finds an entry that is not final.
    if (wear.budget !== undefined) await wear.#save(false);
    return wear;
  }

  /** `totals` from here on. */
  start(totals: () => WrittenTotals): void {
    this.#totals = totals;
    this.#timer = setInterval(() => {
      this.#sample();
      if (this.#hour !== this.#savedHour) this.#saving = this.#saving.then(() => this.#save(false));
    }, SAMPLE_EVERY_MS);
    this.#timer.unref();
  }

  get #runMs(): number {
    return this.#runAtStart + this.#options.clock.monoMs() - this.#monoAtStart;
  }

  get #hour(): number {
    return Math.floor(this.#runMs / HOUR_MS);
  }

  #sample(): void {
    const now = this.#totals();
    const writtenBytes = now.writtenBytes - this.#seen.writtenBytes;
    const payloadBytes = now.payloadBytes - this.#seen.payloadBytes;
    this.#hours.add({ writtenBytes, payloadBytes }, this.#runMs);
    const stateBytes = now.stateBytes - this.#seen.stateBytes;
    this.budget?.wrote(stateBytes, this.#options.clock.monoMs());
    this.#seen = now;
  }

  status(): FlashStatus {
    this.#sample();
    const { clock, config } = this.#options;
    const { cardTBW } = config.flash;
    const { lingerMs } = config.log;
    const nowMs = clock.monoMs();
    const today = this.#hours.today(this.#runMs);
    const perDay = (today.writtenBytes / Math.max(today.coveredMs, MIN_COVERED_MS)) * DAY_MS;
    const isKnown = perDay > 0 && today.coveredMs >= MIN_COVERED_MS;
    const amplification = ratio(today);
    const sinceStart = ratio(this.#seen);
    return {
      writtenTodayBytes: today.writtenBytes,
      payloadTodayBytes: today.payloadBytes,
      ...(amplification === undefined ? {} : { amplification }),
      ...(sinceStart === undefined ? {} : { amplificationSinceStart: sinceStart }),
      projectedBytesPerDay: Math.round(perDay),
      budgetBytesPerDay: this.budget?.bytesPerDay ?? 0,
      overBudget: this.budget?.isExceeded(nowMs) ?? false,
      lingerMs: Math.max(lingerMs, Math.round(this.budget?.lingerMs(nowMs) ?? 0)),
      ...(isKnown ? { lifeYears: rounded((cardTBW * 1e12) / perDay / DAYS_PER_YEAR) } : {}),
    };
  }

  /** After everything else that writes. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#saving;
    this.#sample();
    await this.#save(true);
  }

  async #save(isFinal: boolean): Promise<void> {
    const { state, clock, logger } = this.#options;
    const allowance = this.budget?.allowanceBytes(clock.monoMs());
    const entry = {
      runMs: Math.round(this.#runMs),
      hours: this.#hours.encoded(),
      isFinal,
      ...(allowance === undefined ? {} : { allowanceBytes: Math.round(allowance) }),
    };
    this.#savedHour = this.#hour;
    try {
      await state.write(new Map([[KEY, JSON.stringify(entry)]]));
    } catch (error) {
      const fields = { code: codeOf(error), error: messageOf(error) };
      logger.warn(fields, 'the count of bytes written could not be saved');
    }
  }
}
