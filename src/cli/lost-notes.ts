import type { FolderView } from '../log/folder-view.ts';
import type { LostOffsets } from '../log/recovery.ts';
import { stillKept } from '../log/verify.ts';
import type { Io } from './command.ts';

/**
 * Offsets that a reading of the log did not find. What is kept was read none the less, so the exit
 * code stays 0: whether a log is whole is for `log verify` to say.
 */
export class LostNotes {
  readonly #partition: number | undefined;
  #lost: LostOffsets[] = [];

  /** `partition`: the only one of interest. */
  constructor(partition: number | undefined) {
    this.#partition = partition;
  }

  readonly note = (lost: LostOffsets): void => {
    if (this.#partition !== undefined && lost.partition !== this.#partition) return;
    const last = this.#lost.at(-1);
    const goesOn = last?.partition === lost.partition && last.offset + last.count === lost.offset;
    if (last === undefined || !goesOn) this.#lost.push(lost);
    else this.#lost[this.#lost.length - 1] = { ...last, count: last.count + lost.count };
  };

  /** Tells of them on standard error, once; not of what retention took while we read. */
  async tell(view: FolderView, io: Io): Promise<void> {
    if (this.#lost.length === 0) return;
    await view.look();
    for (const { partition, offset, count } of this.#lost.flatMap((lost) =>
      stillKept(view, lost),
    )) {
      const offsets = count === 1 ? `offset ${offset}` : `offsets ${offset}–${offset + count - 1}`;
      const are = count === 1 ? 'is' : 'are';
      const where = `${offsets} of partition ${partition}`;
      io.complain(`headgate: ${where} ${are} lost; see headgate log verify`);
    }
    this.#lost = [];
  }
}
