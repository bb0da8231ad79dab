/**
 * What has been learnt of one series. Pure: what it says depends on the values that it was given,
 * and one that was saved and restored says and saves the same as one that never was.
 */
export interface Storable {
  /** Its own bytes: nobody else changes them, and they do not change when it goes on learning. */
  save(): Uint8Array;
}

/** How they are made. */
export interface StorableKind<S extends Storable> {
  fresh(): S;
  /** The inverse of `save`; undefined for bytes that it can't read. Never throws. */
  restore(bytes: Uint8Array): S | undefined;
}
