import { setField } from './own-field.ts';

/** One line of InfluxDB's line protocol. Pure. */

export interface Point {
  readonly measurement: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Numbers, bigints beyond 2^53, texts and booleans. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Nanoseconds since 1970, as their digits: a number would round them. */
  readonly timestamp?: string;
}

/** Each ends a part, and is one of its characters behind a backslash. */
const IN_MEASUREMENT = ', ';
const IN_KEY = ',= ';

/** Of a measurement, a tag, its value or a field: more are no names that anybody gives. */
const MAX_NAME_CHARS = 512;

// No part of it may begin in two ways: a long run of digits would be tried in all of them.
const FLOAT = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
const INTEGER = /^([+-]?\d{1,20})([iu])$/;
const TIMESTAMP = /^-?\d{1,19}$/;
const TRUE = new Set(['t', 'T', 'true', 'True', 'TRUE']);
const FALSE = new Set(['f', 'F', 'false', 'False', 'FALSE']);

const LEAST = { i: -(2n ** 63n), u: 0n };
const MOST = { i: 2n ** 63n - 1n, u: 2n ** 64n - 1n };

/** A value without quotes; undefined if it is none. */
function plainValue(text: string): number | bigint | boolean | undefined {
  if (TRUE.has(text)) return true;
  if (FALSE.has(text)) return false;
  if (FLOAT.test(text)) {
    const value = Number(text);
    return Number.isFinite(value) ? value : undefined;
  }
  const [, digits, kind] = INTEGER.exec(text) ?? [];
  if (digits === undefined || (kind !== 'i' && kind !== 'u')) return undefined;
  const whole = BigInt(digits.replace('+', ''));
  if (whole < LEAST[kind] || whole > MOST[kind]) return undefined;
  return Number.isSafeInteger(Number(whole)) ? Number(whole) : whole;
}

/** Reads from the left to the right. What is not as it should be is undefined. */
class LineReader {
  readonly #line: string;
  #at = 0;

  constructor(line: string) {
    this.#line = line;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#line.length;
  }

  /** Passes over the character if it comes next. */
  take(character: string): boolean {
    if (this.#line[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  takeSpaces(): boolean {
    const from = this.#at;
    while (this.take(' '));
    return this.#at > from;
  }

  /** Up to a space or a comma, which is left. */
  word(): string {
    const from = this.#at;
    while (!this.isAtEnd && !', '.includes(this.#line[this.#at] ?? '')) this.#at += 1;
    return this.#line.slice(from, this.#at);
  }

  /** Up to one of `ends`, which is left. undefined: there is nothing, or too much. */
  name(ends: string): string | undefined {
    let name = '';
    for (; !this.isAtEnd; this.#at += 1) {
      const character = this.#line[this.#at] ?? '';
      const next = this.#line[this.#at + 1];
      // A backslash before anything else is a backslash.
      if (character === '\\' && next !== undefined && ends.includes(next)) {
        name += next;
        this.#at += 1;
      } else if (ends.includes(character)) break;
      else name += character;
    }
    return name === '' || name.length > MAX_NAME_CHARS ? undefined : name;
  }

  value(): number | bigint | boolean | string | undefined {
    return this.take('"') ? this.#quoted() : plainValue(this.word());
  }

  #quoted(): string | undefined {
    let text = '';
    for (; !this.isAtEnd; this.#at += 1) {
      const character = this.#line[this.#at] ?? '';
      const next = this.#line[this.#at + 1];
      if (character === '\\' && (next === '"' || next === '\\')) {
        text += next;
        this.#at += 1;
      } else if (character === '"') {
        this.#at += 1;
        return text;
      } else text += character;
    }
    return undefined;
  }
}

function readTags(line: LineReader): Record<string, string> | undefined {
  const tags: Record<string, string> = {};
  while (line.take(',')) {
    const name = line.name(IN_KEY);
    if (name === undefined || !line.take('=')) return undefined;
    const value = line.name(IN_KEY);
    if (value === undefined) return undefined;
    setField(tags, name, value);
  }
  return tags;
}

function readFields(line: LineReader): Record<string, unknown> | undefined {
  const fields: Record<string, unknown> = {};
  do {
    const name = line.name(IN_KEY);
    if (name === undefined || !line.take('=')) return undefined;
    const value = line.value();
    if (value === undefined) return undefined;
    setField(fields, name, value);
  } while (line.take(','));
  return fields;
}

/** `text`: one line that is no comment. undefined: it is no point. */
export function readLine(text: string): Point | undefined {
  const line = new LineReader(text);
  const measurement = line.name(IN_MEASUREMENT);
  const tags = readTags(line);
  if (measurement === undefined || tags === undefined || !line.takeSpaces()) return undefined;
  const fields = readFields(line);
  if (fields === undefined) return undefined;
  if (line.isAtEnd) return { measurement, tags, fields };
  if (!line.takeSpaces()) return undefined;
  if (line.isAtEnd) return { measurement, tags, fields };
  const timestamp = line.word();
  line.takeSpaces();
  if (!line.isAtEnd || !TIMESTAMP.test(timestamp)) return undefined;
  return { measurement, tags, fields, timestamp };
}
