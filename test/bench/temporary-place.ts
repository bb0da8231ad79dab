/** What a bench leaves nowhere, however it ends: by itself, by an error or by a signal. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const there = new Set<() => void>();

process.on('exit', () => {
  // The last first: a program before the folder that it writes to.
  for (const remove of [...there].reverse()) remove();
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(1));
}

/** Keeps `remove` until what it gives is called, or until the end. */
export function untilRemoved(remove: () => void): () => void {
  const once = () => {
    if (there.delete(once)) remove();
  };
  there.add(once);
  return once;
}

/** A new folder below `base`. */
export function temporaryPlace(base: string, prefix: string): { folder: string; remove(): void } {
  const folder = mkdtempSync(join(base, prefix));
  const remove = untilRemoved(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, remove };
}
