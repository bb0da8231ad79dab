import { type Token, Tokenizer, Type } from 'cborg';
import type { ParsedPayload } from './decoder.ts';
import { setField } from './own-field.ts';
import { textOf as textOfBytes } from './text.ts';

/**
 * CBOR (RFC 8949) as a tree of the kind that JSON has. Pure, and it never throws. Stricter than
 * well-formed: one item and nothing behind it, texts in valid UTF-8, no name twice. Texts and byte
 * strings in pieces, and simple values but false, true, null and undefined, are not taken.
 */

/** Deeper than any reading, and far from the end of the stack. */
const MAX_DEPTH = 32;
/** One byte may be a whole object: a payload of some megabytes must not become half a gigabyte. */
const MAX_ITEMS = 262_144;
/** Of a bignum (tags 2 and 3). */
const MAX_BIGNUM_BYTES = 32;
/** Of a decimal fraction (tag 4): beyond it the number is 0 or infinite anyway. */
const MAX_EXPONENT = 400;

const TAG = {
  posBignum: 2,
  negBignum: 3,
  decimalFraction: 4,
} as const;

class NotTaken extends Error {
  readonly code: 'PAYLOAD_NOT_OF_FORMAT' | 'PAYLOAD_TOO_COMPLEX';

  constructor(code: NotTaken['code']) {
    super(code);
    this.code = code;
  }
}

const wrong = () => new NotTaken('PAYLOAD_NOT_OF_FORMAT');

const BREAK = Symbol('break');

/** One pass over the tokens of a payload. */
class TreeReader {
  readonly #tokens: Tokenizer;
  readonly #names: ReadonlyMap<number, string>;
  #items = 0;

  constructor(payload: Uint8Array, names: ReadonlyMap<number, string>) {
    // The library slices, and a slice of a Buffer is a view: plain bytes are what it expects.
    const { buffer, byteOffset, byteLength } = payload;
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    this.#tokens = new Tokenizer(bytes, { allowBigInt: true, retainStringBytes: true });
    this.#names = names;
  }

  /** The only item. Throws NotTaken, and whatever the library throws. */
  whole(): unknown {
    const value = this.#item(0);
    if (value === BREAK || !this.#tokens.done()) throw wrong();
    return value;
  }

  #item(depth: number): unknown {
    this.#items += 1;
    if (depth > MAX_DEPTH || this.#items > MAX_ITEMS) throw new NotTaken('PAYLOAD_TOO_COMPLEX');
    if (this.#tokens.done()) throw wrong();
    const token = this.#tokens.next();
    const { type, value } = token;
    if (Type.equals(type, Type.string)) return textOf(token);
    if (Type.equals(type, Type.bytes)) return Buffer.from(value).toString('base64url');
    if (Type.equals(type, Type.array)) return this.#list(value, depth + 1);
    if (Type.equals(type, Type.map)) return this.#fields(value, depth + 1);
    if (Type.equals(type, Type.tag)) return this.#tagged(Number(value), depth + 1);
    if (Type.equals(type, Type.break)) return BREAK;
    return value ?? null;
  }

  /** A value, and no break in its place. */
  #value(depth: number): unknown {
    const value = this.#item(depth);
    if (value === BREAK) throw wrong();
    return value;
  }

  /** `count` is what the payload says, and may be Infinity: each element is there, or it throws. */
  #list(count: number, depth: number): unknown[] {
    const list: unknown[] = [];
    for (let i = 0; i < count; i++) {
      const value = this.#item(depth);
      if (value === BREAK && count === Number.POSITIVE_INFINITY) break;
      if (value === BREAK) throw wrong();
      list.push(value);
    }
    return list;
  }

  #fields(count: number, depth: number): object {
    const fields: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = this.#item(depth);
      if (key === BREAK && count === Number.POSITIVE_INFINITY) break;
      const name = this.#nameOf(key);
      if (Object.hasOwn(fields, name)) throw wrong();
      setField(fields, name, this.#value(depth));
    }
    return fields;
  }

  /** A text, or a whole number, which stands as its digits: `1` and `"1"` are one name. */
  #nameOf(key: unknown): string {
    if (typeof key === 'string') return key;
    if (typeof key === 'number' && Number.isSafeInteger(key)) {
      return this.#names.get(key) ?? String(key);
    }
    throw wrong();
  }

  /** Numbers become numbers; of any other tag, times among them, what it is about. */
  #tagged(tag: number, depth: number): unknown {
    if (tag === TAG.posBignum || tag === TAG.negBignum) {
      const magnitude = this.#bignum();
      const value = tag === TAG.posBignum ? magnitude : -1n - magnitude;
      const isSafe = BigInt(Number.MIN_SAFE_INTEGER) <= value && value <= Number.MAX_SAFE_INTEGER;
      return isSafe ? Number(value) : value;
    }
    const value = this.#value(depth);
    return tag === TAG.decimalFraction ? decimalFraction(value) : value;
  }

  #bignum(): bigint {
    if (this.#tokens.done()) throw wrong();
    const { type, value } = this.#tokens.next();
    if (!Type.equals(type, Type.bytes)) throw wrong();
    if (value.length > MAX_BIGNUM_BYTES) throw new NotTaken('PAYLOAD_TOO_COMPLEX');
    return BigInt(`0x0${Buffer.from(value).toString('hex')}`);
  }
}

/** The library marks bytes that are no UTF-8, and takes a mark off: two ids would be one. */
function textOf({ value, byteValue }: Token): string {
  if (byteValue === undefined) return value;
  const text = textOfBytes(byteValue);
  if (text === undefined) throw wrong();
  return text;
}

/** [exponent, mantissa]: 10 to the one, times the other. */
function decimalFraction(value: unknown): number {
  const [exponent, mantissa] = Array.isArray(value) && value.length === 2 ? value : [];
  if (typeof exponent !== 'number' || !Number.isSafeInteger(exponent)) throw wrong();
  const isWhole = typeof mantissa === 'bigint' || Number.isSafeInteger(mantissa);
  if (!isWhole || Math.abs(exponent) > MAX_EXPONENT) throw wrong();
  // As a text, which is rounded once: 273.15 is 273.15, and not 273.15000000000003.
  return Number(`${mantissa}e${exponent}`);
}

const NO_NAMES: ReadonlyMap<number, string> = new Map();

/** `names`: what numbers stand for, where they are keys. */
export function parseCbor(payload: Uint8Array, names = NO_NAMES): ParsedPayload {
  if (payload.length === 0) return { ok: false, code: 'PAYLOAD_EMPTY' };
  try {
    const value = new TreeReader(payload, names).whole();
    if (typeof value === 'bigint') return { ok: true, value: Number(value) };
    if (typeof value === 'number' && !Number.isFinite(value)) throw wrong();
    return { ok: true, value: value as string | number | boolean | null | object };
  } catch (error) {
    return { ok: false, code: error instanceof NotTaken ? error.code : 'PAYLOAD_NOT_OF_FORMAT' };
  }
}
