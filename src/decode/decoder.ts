import type { ErrorCode } from '../base/errors.ts';
import type { MessageId, PayloadValue, Sample } from '../base/reading.ts';

/** What the payloads of a stream can be: `streams.<name>.format`. */
export const FORMATS = [
  'auto',
  'json',
  'number',
  'cbor',
  'senml',
  'senml-cbor',
  'influx',
  'sparkplug',
  'raw',
] as const;

export type Format = (typeof FORMATS)[number];

export type ParsedPayload =
  | { readonly ok: true; readonly value: PayloadValue }
  | { readonly ok: false; readonly code: ErrorCode };

/**
 * Numbers looked at in one message. What is beyond is stored and not watched: a quarter of a
 * megabyte of `[1,1,…` must not hold the event loop for a quarter of a second.
 */
export const MAX_SAMPLES = 4_096;
/** Points or metrics that one message may have, where each is an object: more is no reading. */
export const MAX_PARTS = 16_384;

/**
 * From bytes to readings, for one format. Pure functions that never throw: hostile bytes give a
 * code. Ingest asks for the id and the time, detection for the numbers. What `parse` gives is a
 * tree as JSON has it, so that JSON pointers can look into every format; whole numbers beyond 2^53
 * may be bigints in it, and numbers that are not finite count as none.
 */
export interface Decoder {
  readonly format: Format;
  parse(payload: Uint8Array): ParsedPayload;
  /** The format's own rule for the id of a message. */
  messageId(value: PayloadValue): MessageId | undefined | ErrorCode;
  /** The device's own time, in ms since 1970. */
  deviceTime(value: PayloadValue): number | undefined;
  /** `place`: what the topic says after the device, `room.temperature`; '' if nothing. */
  samples(value: PayloadValue, place: string, topic: string): Sample[];
  /** For a format whose messages say how later ones are to be read. */
  newMemory?(): DecoderMemory;
}

/** Begins the keys of all that a memory stores. */
export const MEMORY_PREFIX = 'decode/';

/**
 * What earlier messages of a stream say about later ones. It sees them in the order of their
 * offsets, and what it says depends on nothing else: read again from a checkpoint, it ends in the
 * same state.
 */
export interface DecoderMemory {
  /** What a message means by what is known; it is known from then on. */
  see(value: PayloadValue, topic: string): PayloadValue;
  /** There was no room for something, for the first time since the last call. */
  takeFull(): boolean;
  /** About how much the next `snapshot` has to store. */
  readonly changedBytes: number;
  /** What changed since the last call, as it is to be stored; undefined deletes. */
  snapshot(): Iterable<[key: string, value: string | undefined]>;
  /** Takes up what `snapshot` gave; other keys, and what can't be read, are passed over. */
  restore(entries: ReadonlyMap<string, string>): void;
}
