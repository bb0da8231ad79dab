import { entryOf, stateKeysOf } from './detect/series-index.ts';
import { SERIES_ROOT } from './os/state-store.ts';

/** Where the checkpoints of detection are: below it the log, then the stream. */
export const ROOT = 'watch/';

/** What the state store has of detection. */
export interface StoredDetection {
  /** Of this log and stream, by their own keys. */
  readonly stored: ReadonlyMap<string, string>;
  /** Keys that are of another log, with those of the states of series that they lead to. */
  readonly foreign: readonly string[];
}

export function storedOf(
  entries: Iterable<readonly [key: string, value: string]>,
  log: string,
  stream: string,
): StoredDetection {
  const own = `${ROOT}${log}/`;
  const prefix = `${own}${stream}/`;
  const stored = new Map<string, string>();
  const foreign: string[] = [];
  for (const [key, value] of entries) {
    if (key.startsWith(prefix)) stored.set(key.slice(prefix.length), value);
    else if (!key.startsWith(own)) foreign.push(key, ...statesOf(key));
  }
  return { stored, foreign };
}

function statesOf(key: string): string[] {
  const [log, stream, ...rest] = key.slice(ROOT.length).split('/');
  const entry = entryOf(rest.join('/'));
  if (entry === undefined) return [];
  return stateKeysOf(entry).map((state) => `${SERIES_ROOT}/${log}/${stream}/${state}`);
}
