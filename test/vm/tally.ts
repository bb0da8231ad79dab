import { STATE_KINDS, type StateKind } from './disk-states.ts';

interface Row {
  states: number;
  faulty: number;
  boots: number;
  /** Writes that no flush had covered, of the state that had most. */
  mostOpen: number;
}

/** States looked at and machines started, by file system and kind. */
export class Tally {
  readonly #rows = new Map<string, Row>();

  #row(fs: string, kind: StateKind): Row {
    const key = `${fs} ${kind}`;
    const row = this.#rows.get(key) ?? { states: 0, faulty: 0, boots: 0, mostOpen: 0 };
    this.#rows.set(key, row);
    return row;
  }

  state(fs: string, kind: StateKind, seen: { open: number; isFaulty: boolean }) {
    const row = this.#row(fs, kind);
    row.states += 1;
    if (seen.isFaulty) row.faulty += 1;
    row.mostOpen = Math.max(row.mostOpen, seen.open);
  }

  boot(fs: string, kind: StateKind): void {
    this.#row(fs, kind).boots += 1;
  }

  get states(): number {
    return [...this.#rows.values()].reduce((sum, { states }) => sum + states, 0);
  }

  get faulty(): number {
    return [...this.#rows.values()].reduce((sum, { faulty }) => sum + faulty, 0);
  }

  text(): string {
    const lines = ['fs    kind     states  faulty  booted  most open writes'];
    for (const fs of ['ext4', 'f2fs']) {
      for (const kind of STATE_KINDS) {
        const row = this.#rows.get(`${fs} ${kind}`);
        if (row === undefined) continue;
        const { states, faulty, boots, mostOpen } = row;
        const widths = [8, 8, 8, 18];
        const numbers = [states, faulty, boots, mostOpen];
        const cells = numbers.map((number, i) => String(number).padStart(widths[i] ?? 0));
        lines.push(`${fs.padEnd(6)}${kind.padEnd(7)}${cells.join('')}`);
      }
    }
    return lines.join('\n');
  }
}
