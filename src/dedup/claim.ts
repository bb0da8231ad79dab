/**
 * Told once how a claim ended: true when the reading is durable, false when it could not be made
 * so.
 */
export type ClaimEnd = (durable: boolean) => void;

/**
 * What dedup holds on a message id from its first sight until its reading is durable. Repeats that
 * come meanwhile wait for it: they are acknowledged when the first one is, and never before.
 */
export class Claim {
  readonly #onEnd: ClaimEnd;
  #waiting: ClaimEnd[] | undefined;

  /** `onEnd` is the window that the claim belongs to. */
  constructor(onEnd: ClaimEnd) {
    this.#onEnd = onEnd;
  }

  /** A repeat waits with the first. */
  wait(end: ClaimEnd): void {
    this.#waiting ??= [];
    this.#waiting.push(end);
  }

  /** The reading is durable: the id is known from now on. */
  settle(): void {
    this.#end(true);
  }

  /** The reading is nowhere: the id is free again, and no repeat may be acknowledged either. */
  release(): void {
    this.#end(false);
  }

  #end(durable: boolean): void {
    this.#onEnd(durable);
    for (const end of this.#waiting ?? []) end(durable);
    this.#waiting = undefined;
  }
}

/** What a window says of a message id, at once and without waiting. */
export type Sighting =
  | { readonly kind: 'new'; readonly claim: Claim }
  /** A repeat of a reading on its way: wait for its claim. */
  | { readonly kind: 'in-flight'; readonly claim: Claim }
  /** A repeat of a reading that is durable. */
  | { readonly kind: 'known' };

export const KNOWN: Sighting = { kind: 'known' };
