/** Metrics as Prometheus takes them: its text format, version 0.0.4. Pure. */

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export interface Sample {
  /** Values as they are: they are escaped here. */
  readonly labels?: Readonly<Record<string, string>>;
  /** undefined, or no finite number: not known, so the sample is left out. */
  readonly value: number | undefined;
}

/** Samples of one name. */
export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** The families that have a sample; a line each for what it means, its type and its samples. */
export function expositionText(families: readonly Family[]): string {
  return families.map(familyText).join('');
}

function familyText({ name, type, help, samples }: Family): string {
  const lines = samples.flatMap(({ labels = {}, value }) =>
    value !== undefined && Number.isFinite(value)
      ? [`${name}${labelsText(labels)} ${value}\n`]
      : [],
  );
  if (lines.length === 0) return '';
  return `# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([label, value]) => `${label}="${escaped(value).replaceAll('"', '\\"')}"`,
  );
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** A line break would begin a line of its own, and a backslash is read as the first of two. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
