import { type AlertEvent, MAX_NAMES } from './alert-event.ts';

/** What an alert says to the person who is woken. Pure. */

const MAX_DECIMALS = 12;
const MINUTE_MS = 60_000;

/** As many digits as tell values of this spread apart: 101325.4 beside 101320 is not 101300. */
export function shortNumber(value: number, spread: number): string {
  const decimals = spread > 0 && Number.isFinite(spread) ? 2 - Math.floor(Math.log10(spread)) : 3;
  return String(Number(value.toFixed(Math.min(MAX_DECIMALS, Math.max(0, decimals)))));
}

/** `40 min`: coarse, as people say it. */
export function lasted(ms: number): string {
  if (ms <= 1.5 * MINUTE_MS) return `${Math.round(ms / 1000)} s`;
  if (ms < 90 * MINUTE_MS) return `${Math.round(ms / MINUTE_MS)} min`;
  if (ms < 36 * 60 * MINUTE_MS) return `${Math.round(ms / MINUTE_MS / 60)} h`;
  return `${Math.round(ms / MINUTE_MS / 60 / 24)} days`;
}

const isBound = (bound: number) => Math.abs(bound) < Number.MAX_VALUE;

/** The texts of an event's numbers, with digits that fit each other. */
class Numbers {
  readonly value: string;
  readonly low: string | undefined;
  readonly high: string | undefined;
  readonly #event: AlertEvent;
  readonly #spread: number;

  constructor(event: AlertEvent) {
    const { value, expectedLow, expectedHigh } = event;
    const bounds = [expectedLow, expectedHigh].filter(isBound);
    const [low = value, high = low] = bounds;
    const spread = high - low || Math.abs(value - low);
    const show = (one: number) => shortNumber(one, spread);
    this.#event = event;
    this.#spread = spread;
    this.value = show(value);
    this.low = isBound(expectedLow) ? show(expectedLow) : undefined;
    this.high = isBound(expectedHigh) ? show(expectedHigh) : undefined;
  }

  /** `20.2 to 23.6`. */
  get band(): string {
    if (this.low === undefined) return `${this.high} at most`;
    return this.high === undefined ? `${this.low} at least` : `${this.low} to ${this.high}`;
  }

  get isOutside(): boolean {
    const { value, expectedLow, expectedHigh } = this.#event;
    return value < expectedLow || value > expectedHigh;
  }

  /** How far the value is from the middle of its band. */
  get jump(): string {
    const { value, expectedLow, expectedHigh } = this.#event;
    return shortNumber(Math.abs(value - (expectedLow / 2 + expectedHigh / 2)), this.#spread);
  }

  /** Half of the band. */
  get reach(): string {
    const { expectedLow, expectedHigh } = this.#event;
    return shortNumber(expectedHigh / 2 - expectedLow / 2, this.#spread);
  }
}

function whatIs(event: AlertEvent, numbers: Numbers, forText: string): string {
  const { fault, value, expectedHigh } = event;
  const { value: now } = numbers;
  switch (fault) {
    case 'spike':
      return `jumped to ${now}${forText}`;
    case 'shift':
      return `is at another level, ${now}${forText}`;
    case 'drift':
      return `drifts, and is ${now}${forText}`;
    case 'noise':
      return `is noisier than ever, ${now}${forText}`;
    case 'stuck':
      return `is stuck at ${now}${forText}`;
    case 'range':
      return `is ${now}, too ${value > expectedHigh ? 'high' : 'low'}${forText}`;
    case 'rate':
      return `changed by ${numbers.jump} to ${now}${forText}`;
    default:
      return `is ${now}${forText}`;
  }
}

function rarity({ oneIn }: AlertEvent): string {
  if (oneIn === undefined || oneIn < 2) return '';
  const digits = 10 ** Math.max(0, Math.floor(Math.log10(oneIn)) - 1);
  const about = Math.round(oneIn / digits) * digits;
  const shown = about >= 1e9 ? 'a thousand million' : about.toLocaleString('en-US');
  return `; about one value in ${shown} is as unusual`;
}

/** `a, b, c and 7 more`. */
function listed(names: readonly string[], count: number): string {
  const shown = names.slice(0, MAX_NAMES);
  const more = count - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

function floodReason({ kind, source, device, count, names = [], ...event }: AlertEvent): string {
  const isSite = source.startsWith('site:');
  const after = lasted(event.atRunMs - event.sinceRunMs);
  if (kind === 'end') {
    const who = isSite ? `all ${count} silent devices are heard` : `${device} is ordinary`;
    return `${who} again, after ${after}`;
  }
  const of = listed(names, count);
  return isSite
    ? `${count} devices have fallen silent at about the same time: ${of}`
    : `${device} has ${count} alerts at about the same time: ${of}`;
}

/** A sentence for the person who is woken. */
export function reasonOf(event: AlertEvent): string {
  const { kind, source, device, metric, fault, expectedHigh } = event;
  if (source.startsWith('site:') || source.startsWith('flood:')) return floodReason(event);
  const lastedMs = event.atRunMs - event.sinceRunMs;
  const limit = /^(?:limit|silence):(.*)$/.exec(source)?.[1];
  const by = limit === undefined ? '' : ` (limit ${limit})`;
  if (fault === 'silence') {
    if (kind === 'end') return `${device} is heard again, after ${lasted(lastedMs)}`;
    const usual = lasted(expectedHigh * 1000);
    return `${device} has been silent for ${lasted(lastedMs)}, expected within ${usual}${by}`;
  }
  const numbers = new Numbers(event);
  if (event.isSuperseded) {
    return `${metric} of ${device} is graver than it seemed: what follows tells of it`;
  }
  if (kind === 'end') {
    if (limit === undefined && numbers.isOutside) {
      return `${metric} of ${device} stays at ${numbers.value}, which is ordinary from now on`;
    }
    const again = limit === undefined ? 'ordinary' : 'within its limit';
    const after = lastedMs < 1000 ? '' : `, after ${lasted(lastedMs)}`;
    return `${metric} of ${device} is ${again} again at ${numbers.value}${after}`;
  }
  const forText = lastedMs < 1000 ? '' : ` for ${lasted(lastedMs)}`;
  const what = `${metric} of ${device} ${whatIs(event, numbers, forText)}`;
  if (limit === undefined) {
    return `${what}, expected ${numbers.band} at this hour${rarity(event)}`;
  }
  const allowed = fault === 'rate' ? `${numbers.reach} in that time` : numbers.band;
  return `${what}, allowed ${allowed}${by}`;
}
