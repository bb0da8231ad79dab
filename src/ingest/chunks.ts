const MAX_CHUNKS = 64;

/**
 * Keeps the chunks of a packet few: a byte that comes alone is an object of some 150 bytes, and a
 * limit in bytes would let in a hundred times as much. Those at the end become one, and with them
 * those before it that are not much larger: each byte is copied a few times, however it came.
 */
export function mergeChunks(chunks: Uint8Array[]): void {
  if (chunks.length <= MAX_CHUNKS) return;
  let from = chunks.length;
  let bytes = 0;
  while (from > 0) {
    const length = chunks[from - 1]?.length ?? 0;
    if (chunks.length - from >= MAX_CHUNKS / 2 && length > 2 * bytes) break;
    bytes += length;
    from -= 1;
  }
  const tail = chunks.splice(from);
  chunks.push(Buffer.concat(tail, bytes));
}
