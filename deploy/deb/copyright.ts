import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The file `copyright` of the package: our licence, and that of each package in the bundle. */

interface Part {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  readonly author: string;
  readonly text: string;
}

function nameOf(author: unknown): string {
  if (typeof author === 'string') return author.replace(/\s*[<(].*/, '');
  const name = (author as { name?: unknown } | undefined)?.name;
  return typeof name === 'string' ? name : '';
}

/** The lines of a licence that say whose it is. */
function holdersOf(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  const said = lines.filter((line) => /^copyright\s+(\(c\)|©|\d{4})/i.test(line));
  return said.map((line) => line.replace(/^copyright\s*(\(c\)|©)?\s*/i, '')).join('\n ');
}

function partOf(root: string, folder: string): Part {
  const at = join(root, folder);
  const about: Record<string, unknown> = JSON.parse(
    readFileSync(join(at, 'package.json'), 'utf8'),
  ) as Record<string, unknown>;
  const file = readdirSync(at).find((name) => /^(licen[cs]e|copying)/i.test(name));
  const text = file === undefined ? '' : readFileSync(join(at, file), 'utf8').trim();
  const name = String(about['name'] ?? folder);
  const people = nameOf(about['author'] ?? (about['contributors'] as unknown[] | undefined)?.[0]);
  return {
    name,
    version: String(about['version'] ?? ''),
    licence: String(about['license'] ?? 'Unknown').replaceAll(/[()]/g, ''),
    author: holdersOf(text) || people || `the authors of ${name}`,
    text,
  };
}

/** A text as the continuation of a field: an empty line is a dot. */
function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd().replaceAll('\t', '  ')}`))
    .join('\n');
}

const OWN_TEXT = [
  'Licensed under the Apache License, Version 2.0. On Debian systems its text is in',
  '/usr/share/common-licenses/Apache-2.0.',
].join('\n');

/** One word for a licence that is told by its own text: what differs gets another name. */
function licenceName({ name, licence }: Part): string {
  return `${licence.replaceAll(/\s+(?!or\b|and\b)/gi, '-')}~${name.replaceAll(/[@/]/g, '')}`;
}

function paragraph(part: Part): string {
  const isApache = part.licence === 'Apache-2.0';
  const licence = isApache ? 'Apache-2.0' : licenceName(part);
  const said = part.text === '' ? `${part.licence}, as its package.json says.` : part.text;
  const text = isApache ? [] : [indented(said)];
  return [
    'Files: usr/lib/headgate/*',
    `Comment: ${part.name} ${part.version}, bundled`,
    `Copyright: ${part.author}`,
    `License: ${licence}`,
    ...text,
  ].join('\n');
}

/** Machine-readable (DEP 5). `packages`: folders below the project. */
export function copyrightText(root: string, packages: readonly string[]): string {
  const parts = packages.filter((folder) => existsSync(join(root, folder, 'package.json')));
  return `${[
    [
      'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/',
      'Upstream-Name: headgate',
      'Comment: The code in /usr/lib/headgate is bundled from Headgate and from the packages of',
      ' npm below, each under its own licence.',
    ].join('\n'),
    `Files: *\nCopyright: the authors of Headgate\nLicense: Apache-2.0`,
    `License: Apache-2.0\n${indented(OWN_TEXT)}`,
    ...parts.map((folder) => paragraph(partOf(root, folder))),
  ].join('\n\n')}\n`;
}
