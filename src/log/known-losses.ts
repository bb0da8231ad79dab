import type { Logger } from '../base/logger.ts';
import type { LostOffsets } from './recovery.ts';

/** A row that long is a card that is dying; `headgate log verify` names the rest. */
const MAX_NAMED = 1_000;

/** Offsets that damage has taken, each named once, however many readers miss it. */
export class KnownLosses {
  readonly #logger: Logger;
  readonly #lost: LostOffsets[];

  /** `lost`: what opening the log has found, and told of. */
  constructor(logger: Logger, lost: readonly LostOffsets[]) {
    this.#logger = logger;
    this.#lost = [...lost];
  }

  get all(): readonly LostOffsets[] {
    return this.#lost;
  }

  report(lost: LostOffsets): void {
    const { stream, partition, offset } = lost;
    const isKnown = this.#lost.some(
      (one) => one.stream === stream && one.partition === partition && one.offset === offset,
    );
    if (isKnown) return;
    if (this.#lost.length < MAX_NAMED) this.#lost.push(lost);
    const fields = { ...lost, repeatKey: `${stream}/${partition}/${offset}` };
    this.#logger.error(fields, 'offsets are lost: a block of the log is damaged');
  }
}
