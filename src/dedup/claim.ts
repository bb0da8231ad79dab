/**
 * Told once how a claim ended: true when the reading is durable, false when it could not be made
 * so.
 */
export type ClaimEnd = (durable: boolean) => void;

/**
 * What dedup holds on a message id from its first sight until its reading is durable. Repeats that
 * come meanwhile wait for it: they are acknowledged when the first one is, and never before.
 */
export abstract class Claim {
  /** The first one was acknowledged ahead of that: repeats need not wait. */
  isAcknowledged = false;
  #waiting: ClaimEnd[] | undefined;

  /** Tells the window that the claim belongs to. */
  protected abstract ended(durable: boolean): void;

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
    this.ended(durable);
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    for (const end of waiting) end(durable);
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
