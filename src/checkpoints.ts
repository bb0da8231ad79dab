import { codeOf, messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import type { StateStore } from './os/state-store.ts';

/** What has changed since it was last asked for; undefined removes a key. */
export type Changes = () => ReadonlyMap<string, string | undefined>;

export interface CheckpointsOptions {
  readonly state: StateStore;
  readonly logger: Logger;
}

/**
 * Saves the progress of the uplink and the books together: all or nothing, and of one moment, so
 * that after a kill neither is ahead of the other. Unsynced: after a power cut both are as they
 * were some moments before. Nothing changed, nothing written.
 */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  readonly #sources: Changes[] = [];
  /** Asked for and not written. */
  readonly #pending = new Map<string, string | undefined>();
  #saving: Promise<boolean> = Promise.resolve(true);
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  add(changes: Changes): void {
    this.#sources.push(changes);
  }

  /** Saves so often from here on. */
  begin(everyMs: number): void {
    this.#timer = setInterval(() => void this.save(), everyMs);
    this.#timer.unref();
  }

  /** Resolves when all that was counted before the call is written: false if it could not be. */
  save(): Promise<boolean> {
    this.#saving = this.#saving.then(() => this.#save());
    return this.#saving;
  }

  async #save(): Promise<boolean> {
    try {
      for (const changes of this.#sources) {
        for (const [key, value] of changes()) this.#pending.set(key, value);
      }
      if (this.#pending.size === 0) return true;
      await this.#options.state.write(this.#pending);
      this.#pending.clear();
      return true;
    } catch (error) {
      const fields = { code: codeOf(error), error: messageOf(error) };
      const text = 'the progress of the uplink and the books could not be saved';
      this.#options.logger.warn(fields, text);
      return false;
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.save();
  }
}
