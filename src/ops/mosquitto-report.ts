import type { Directive } from './mosquitto-conf.ts';

/** What became of each line. */
export interface ImportRow {
  readonly file: string;
  readonly line: number;
  readonly directive: string;
  readonly outcome: 'carried' | 'no-meaning' | 'not-carried';
  /** Settings that say it now. */
  readonly to?: readonly string[];
  readonly note: string;
}

const MAX_NAME = 40;

/**
 * Collects what became of the lines, and the settings that they make. No value of a line is ever
 * repeated: it may be a password, also behind a name that is misspelt.
 */
export class ImportReport {
  readonly rows: ImportRow[] = [];
  readonly tree: Record<string, unknown> = {};
  readonly #both = new Map<string, number>();

  carried(directive: Directive, settings: Readonly<Record<string, unknown>>, note = ''): void {
    for (const [path, value] of Object.entries(settings)) this.set(path.split('.'), value);
    this.#add(directive, 'carried', { to: Object.keys(settings), note });
  }

  noMeaning(directive: Directive, note: string): void {
    this.#add(directive, 'no-meaning', { note });
  }

  notCarried(directive: Directive, note: string): void {
    this.#add(directive, 'not-carried', { note });
  }

  /** A setting that the configuration does not take as it is: no line may say that it is there. */
  leftOut(setting: string): void {
    for (const [i, row] of this.rows.entries()) {
      if (row.outcome !== 'carried' || row.to === undefined) continue;
      const to = row.to.filter((one) => one !== setting && !one.startsWith(`${setting}.`));
      if (to.length === row.to.length) continue;
      const notes = [row.note, `${setting} is left out`].filter((note) => note !== '');
      const outcome = to.length === 0 ? 'not-carried' : 'carried';
      this.rows[i] = { ...row, outcome, to, note: notes.join('; ') };
    }
  }

  #add(
    { file, line, name }: Directive,
    outcome: ImportRow['outcome'],
    rest: Pick<ImportRow, 'to' | 'note'>,
  ): void {
    const directive = name.length > MAX_NAME ? `${name.slice(0, MAX_NAME)}…` : name;
    const row = { file, line, directive, outcome, ...rest };
    // A topic of both directions has two parts: what became of the second is told with the first.
    const at = this.#both.get(`${file}:${line}`);
    if (name === 'topic' && at !== undefined) {
      const first = this.rows[at] ?? row;
      const notes = [first.note, row.note].filter((note) => note !== '');
      const to = [...(first.to ?? []), ...(row.to ?? [])];
      const isLost = first.outcome === 'not-carried' && outcome === 'not-carried';
      const both = isLost ? 'not-carried' : 'carried';
      this.rows[at] = { ...first, outcome: both, to, note: notes.join('; ') };
      return;
    }
    if (name === 'topic') this.#both.set(`${file}:${line}`, this.rows.length);
    this.rows.push(row);
  }

  set(path: readonly string[], value: unknown): void {
    let section = this.tree;
    for (const name of path.slice(0, -1)) {
      const below = (section[name] ?? {}) as Record<string, unknown>;
      section[name] = below;
      section = below;
    }
    section[path.at(-1) ?? ''] = value;
  }

  /** In the order of the files. */
  sorted(files: readonly string[]): ImportRow[] {
    const place = new Map(files.map((file, i) => [file, i]));
    const order = (row: ImportRow) => place.get(row.file) ?? files.length;
    return this.rows.toSorted((a, b) => order(a) - order(b) || a.line - b.line);
  }
}

/** A whole number in its bounds; undefined: it is none. */
export function numberIn(
  value: string,
  least: number,
  most: number,
): { readonly value: number; readonly isAsIs: boolean } | undefined {
  if (!/^-?\d{1,15}$/.test(value)) return undefined;
  const number = Number(value);
  const within = Math.min(most, Math.max(least, number));
  return { value: within, isAsIs: within === number };
}
