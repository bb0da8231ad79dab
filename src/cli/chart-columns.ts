/** A value of a series as a chart needs it. */
export interface ChartPoint {
  readonly value: number;
  /** The learned band; undefined while there is none. */
  readonly band: readonly [low: number, high: number] | undefined;
  readonly isActive: boolean;
  /** When and why an alert began with it. */
  readonly begins?: string;
}

/** All values of a stretch of time, which the chart draws at one place. */
export interface ChartColumn {
  readonly fromMs: number;
  readonly toMs: number;
  first: number;
  last: number;
  min: number;
  max: number;
  low: number;
  high: number;
  /** Some of them have a band. */
  hasBand: boolean;
  isActive: boolean;
  /** Alerts that began here, and why the first of them did. */
  begins: number;
  reason: string | undefined;
}

/** About what a chart has pixels for: half as many at least, once there are so many values. */
export const MAX_COLUMNS = 1_200;

type Gathered = Omit<ChartColumn, 'fromMs' | 'toMs'>;

function gathered({ value, band, isActive, begins }: ChartPoint): Gathered {
  return {
    first: value,
    last: value,
    min: value,
    max: value,
    low: band?.[0] ?? Number.POSITIVE_INFINITY,
    high: band?.[1] ?? Number.NEGATIVE_INFINITY,
    hasBand: band !== undefined,
    isActive,
    begins: begins === undefined ? 0 : 1,
    reason: begins,
  };
}

/** `later` comes after all that `into` holds. */
function gather(into: Gathered, later: Gathered): void {
  into.last = later.last;
  into.min = Math.min(into.min, later.min);
  into.max = Math.max(into.max, later.max);
  into.low = Math.min(into.low, later.low);
  into.high = Math.max(into.high, later.high);
  into.hasBand ||= later.hasBand;
  into.isActive ||= later.isActive;
  into.begins += later.begins;
  into.reason ??= later.reason;
}

/**
 * A series of any length in a bounded room: least and greatest value of each stretch of time. When
 * the stretches become too many they are made twice as wide, two into one. Pure.
 */
export class ChartColumns {
  /** By the number of the stretch since 1970. */
  #columns = new Map<number, Gathered>();
  #widthMs = 1;
  #least = Number.POSITIVE_INFINITY;
  #greatest = Number.NEGATIVE_INFINITY;

  add(timeMs: number, point: ChartPoint): void {
    let key = Math.floor(timeMs / this.#widthMs);
    this.#reach(key);
    while (this.#greatest - this.#least >= MAX_COLUMNS) {
      this.#double();
      key = Math.floor(timeMs / this.#widthMs);
    }
    const column = this.#columns.get(key);
    if (column === undefined) this.#columns.set(key, gathered(point));
    else gather(column, gathered(point));
  }

  #reach(key: number): void {
    this.#least = Math.min(this.#least, key);
    this.#greatest = Math.max(this.#greatest, key);
  }

  #double(): void {
    const wide = new Map<number, Gathered>();
    // By time: within a stretch what came first stays the first.
    for (const [key, column] of this.#sorted()) {
      const wideKey = Math.floor(key / 2);
      const before = wide.get(wideKey);
      if (before === undefined) wide.set(wideKey, column);
      else gather(before, column);
    }
    this.#columns = wide;
    this.#widthMs *= 2;
    this.#least = Math.floor(this.#least / 2);
    this.#greatest = Math.floor(this.#greatest / 2);
  }

  #sorted(): Array<[key: number, column: Gathered]> {
    return [...this.#columns].sort(([a], [b]) => a - b);
  }

  /** In the order of time; stretches without a value are left out. */
  columns(): ChartColumn[] {
    const width = this.#widthMs;
    return this.#sorted().map(([key, column]) => ({
      ...column,
      fromMs: key * width,
      toMs: (key + 1) * width,
    }));
  }
}
