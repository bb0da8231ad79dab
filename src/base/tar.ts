import { HeadgateError } from './errors.ts';

/** Archives as POSIX ustar, as much of it as a backup needs: plain files, short names. Pure. */

const BLOCK = 512;
const MAX_BYTES = 0o77777777777;

export interface TarFile {
  readonly path: string;
  readonly bytes: number;
  /** Of the file, s since 1970. */
  readonly modifiedS: number;
}

/** The header before the bytes of a file. */
export function tarHeader({ path, bytes, modifiedS }: TarFile): Uint8Array {
  if (Buffer.byteLength(path) > 100 || bytes > MAX_BYTES) throw new Error(`too large: ${path}`);
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  header.write(path, 0);
  header.write(octal(0o640, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(bytes, 11), 124);
  header.write(octal(Math.max(0, modifiedS), 11), 136);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257, 'latin1');
  header.write(`${octal(sumOf(header), 6)} `, 148);
  return header;
}

/** What follows the bytes of a file, up to a full block. */
export function tarPadding(bytes: number): Uint8Array {
  return new Uint8Array((BLOCK - (bytes % BLOCK)) % BLOCK);
}

export const TAR_END = new Uint8Array(2 * BLOCK);

function sumOf(header: Uint8Array): number {
  return header.reduce((sum, byte) => sum + byte, 0);
}

/** Bytes as they are asked for, whatever the pieces in which they come. */
class Feed {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** At least one byte and at most `most`. Throws BACKUP_INVALID at the end. */
  async some(most: number): Promise<Uint8Array> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#pieces.next();
      if (done === true) throw new HeadgateError('BACKUP_INVALID', 'it ends in the middle');
      this.#rest = value;
    }
    const part = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  async exactly(bytes: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for (let left = bytes; left > 0; ) {
      const part = await this.some(left);
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** To the end, so that whoever feeds it comes to it: a checksum may be there. */
  async drain(): Promise<void> {
    for (;;) if ((await this.#pieces.next()).done === true) return;
  }
}

export interface TarEntry {
  readonly path: string;
  readonly bytes: number;
  /** To be read once, before the next entry is asked for. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** The files of an archive, one by one. Throws BACKUP_INVALID for what is none, or not whole. */
export async function* tarEntries(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<TarEntry, void> {
  const feed = new Feed(pieces);
  for (;;) {
    const header = await feed.exactly(BLOCK);
    if (header.every((byte) => byte === 0)) {
      await feed.drain();
      return;
    }
    const { path, bytes } = parse(header);
    let left = bytes;
    const body = async function* (): AsyncGenerator<Uint8Array, void> {
      while (left > 0) {
        const part = await feed.some(left);
        left -= part.length;
        yield part;
      }
    };
    yield { path, bytes, body: body() };
    while (left > 0) left -= (await feed.some(left)).length;
    await feed.exactly(tarPadding(bytes).length);
  }
}

function parse(header: Buffer): { path: string; bytes: number } {
  const text = (from: number, to: number) =>
    header.toString('latin1', from, to).split('\0', 1)[0]?.trim() ?? '';
  const sum = Number.parseInt(text(148, 156), 8);
  const blank = Buffer.from(header);
  blank.fill(0x20, 148, 156);
  if (sumOf(blank) !== sum) throw new HeadgateError('BACKUP_INVALID', 'it is no archive');
  const bytes = Number.parseInt(text(124, 136), 8);
  const isFile = ['0', '\0'].includes(String.fromCharCode(header[156] ?? 1));
  if (!isFile || !Number.isSafeInteger(bytes)) {
    throw new HeadgateError('BACKUP_INVALID', 'it holds something that is no file');
  }
  return { path: text(0, 100), bytes };
}
