import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseRows } from '../../src/detect-score/corpus-text.ts';
import { labelWindows } from '../../src/detect-score/label-windows.ts';
import type { LabelledSeries } from '../../src/detect-score/scorer.ts';

/** Sensor series with faults put in, by the kind of fault; and the same without. */
export interface FaultSets {
  readonly byType: ReadonlyMap<string, readonly LabelledSeries[]>;
  readonly clean: readonly LabelledSeries[];
}

const INJECTED = 'injected_';
const CLEAN = 'clean';
const COLUMNS = { value: 'last', label: 'has_fault_type' } as const;

function seriesBelow(folder: string): LabelledSeries[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.txt'));
  return names.sort().map((name) => {
    const { seconds, values, labels } = parseRows(
      name,
      readFileSync(join(folder, name), 'utf8'),
      COLUMNS,
    );
    return { name, seconds, values, windows: labelWindows(labels) };
  });
}

/** `clean/*.txt` and `injected_TYPE/*.txt`; undefined: there is no such folder. */
export function readFaultSets(folder: string): FaultSets | undefined {
  if (!existsSync(join(folder, CLEAN))) return undefined;
  const types = readdirSync(folder).filter((name) => name.startsWith(INJECTED));
  return {
    byType: new Map(
      types.sort().map((name) => [name.slice(INJECTED.length), seriesBelow(join(folder, name))]),
    ),
    clean: seriesBelow(join(folder, CLEAN)),
  };
}
