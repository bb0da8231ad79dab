import { dirname } from 'node:path';
import type { FileHandle, Files } from './files.ts';

const CHUNK_CHARS = 256 * 1024;

/**
 * A file that is under its name only when it is whole and durable: until `finish` it is called
 * `NAME.part`. A crash leaves that, and the next one writes over it.
 */
export class WholeFile {
  readonly #files: Files;
  readonly #path: string;
  readonly #handle: FileHandle;
  #at = 0;
  #chunk = '';

  private constructor(files: Files, path: string, handle: FileHandle) {
    this.#files = files;
    this.#path = path;
    this.#handle = handle;
  }

  static async begin(files: Files, path: string): Promise<WholeFile> {
    const handle = await files.open(`${path}.part`, 'write');
    try {
      await handle.truncate(0);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return new WholeFile(files, path, handle);
  }

  async write(text: string): Promise<void> {
    this.#chunk += text;
    if (this.#chunk.length >= CHUNK_CHARS) await this.#flush();
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.from(this.#chunk);
    this.#chunk = '';
    await this.#handle.write(bytes, this.#at);
    this.#at += bytes.length;
  }

  async finish(): Promise<void> {
    await this.#flush();
    await this.#handle.sync();
    await this.#handle.close();
    await this.#files.rename(`${this.#path}.part`, this.#path);
    await this.#files.syncFolder(dirname(this.#path));
  }

  /** Nothing is left of it. */
  async giveUp(): Promise<void> {
    await this.#handle.close().catch(() => {
      // It may be closed; what counts is the error before this.
    });
    await this.#files.remove(`${this.#path}.part`);
  }
}
