/** Of the text format: one sample. */
const SAMPLE = /^([a-z_][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)+)\})? (\S+)$/;
const UNESCAPED: Readonly<Record<string, string>> = { '\\n': '\n', '\\"': '"', '\\\\': '\\' };

/**
 * What Prometheus would read: `name{label=value}` and the number. Throws on a line that is none of
 * the format, on a number that is none, and on a sample that is there twice.
 */
export function scraped(text: string): Map<string, number> {
  const values = new Map<string, number>();
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line has no end');
  for (const line of text.split('\n').slice(0, -1)) {
    if (/^# (HELP|TYPE) /.test(line)) continue;
    const [, name, pairs = '', number = ''] = SAMPLE.exec(line) ?? [];
    const value = Number(number);
    if (name === undefined || !Number.isFinite(value)) throw new Error(`no sample: ${line}`);
    const labels = [...pairs.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(
      ([, label, escaped = '']) => `${label}=${unescaped(escaped)}`,
    );
    const key = labels.length === 0 ? name : `${name}{${labels.join(',')}}`;
    if (values.has(key)) throw new Error(`twice: ${line}`);
    values.set(key, value);
  }
  return values;
}

function unescaped(text: string): string {
  return text.replace(/\\[n"\\]/g, (pair) => UNESCAPED[pair] ?? pair);
}
