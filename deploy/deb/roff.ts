/** Pages of the manual, in the language of man(7). Pure. */

/** Text as roff takes it: nothing in it is a request, a `-` is the one of an option. */
export function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^([.'])/gm, '\\&$1');
}

function quoted(text: string): string {
  return `"${escaped(text).replaceAll('"', '\\(dq')}"`;
}

export interface PageHead {
  readonly name: string;
  readonly section: number;
  readonly summary: string;
  readonly version: string;
  /** 2026-05-04. */
  readonly date: string;
}

export function headOf({ name, section, summary, version, date }: PageHead): string[] {
  const title = `${quoted(name)} ${section} ${quoted(date)} ${quoted(`headgate ${version}`)}`;
  return [`.TH ${title}`, '.SH NAME', `${escaped(name)} \\- ${escaped(summary)}`];
}

export function heading(text: string): string {
  return `.SH ${quoted(text.toUpperCase())}`;
}

export function subheading(text: string): string {
  return `.SS ${quoted(text)}`;
}

export function paragraph(text: string): string[] {
  return ['.PP', escaped(text)];
}

/** Prints nothing, and stands for a text where there has to be one. */
export const NOTHING = '\\&';

/** A word and what it means. */
export function entry(word: string, meaning: string): string[] {
  return ['.TP', `.B ${quoted(word)}`, meaning === '' ? NOTHING : escaped(meaning)];
}

/** Lines that stay as they are. */
export function verbatim(text: string): string[] {
  return ['.PP', '.nf', escaped(text), '.fi'];
}

export function page(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
