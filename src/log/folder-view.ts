import { HeadgateError } from '../base/errors.ts';
import type { Files } from '../os/files.ts';
import { readCatalog, type SegmentInfo } from './catalog.ts';
import type { LogView } from './log-view.ts';

/**
 * A store seen from its files alone: for the command line, beside a live gateway or without one.
 * Takes the segments that are there when it is made; `look` looks again.
 */
export class FolderView implements LogView {
  readonly #files: Files;
  readonly #folder: string;
  #segments: readonly SegmentInfo[] = [];

  private constructor(files: Files, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  /** Throws NO_LOG if there is no store in the folder. */
  static async open(files: Files, folder: string): Promise<FolderView> {
    const view = new FolderView(files, folder);
    await view.look();
    if (view.#segments.length === 0) {
      throw new HeadgateError('NO_LOG', `nothing in ${folder}`);
    }
    return view;
  }

  async look(): Promise<void> {
    this.#segments = (await readCatalog(this.#files, this.#folder)).segments;
  }

  segments(): readonly SegmentInfo[] {
    return this.#segments;
  }

  endOf(): undefined {
    return undefined;
  }

  indexOf(): undefined {
    return undefined;
  }
}
