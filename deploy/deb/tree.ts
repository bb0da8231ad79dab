import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { HELP as SERIAL_HELP } from '../../firmware-bridge/serial/options.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { HELP as SINK_HELP } from '../cloud/options.ts';
import {
  type Architecture,
  elfFault,
  FACTS,
  NATIVE_PACKAGES,
  nativeFiles,
} from './architectures.ts';
import type { Bundle } from './bundle.ts';
import { bashCompletion, fishCompletion, zshCompletion } from './completion.ts';
import { changelogText, type Release } from './control.ts';
import { copyrightText } from './copyright.ts';
import { packagedConfig } from './default-config.ts';
import { type Edition, headgatePage, helpPage, settingsPage } from './manual.ts';

/** One file of the package. */
export type Entry =
  | { readonly path: string; readonly content: string | Uint8Array; readonly mode?: number }
  | { readonly path: string; readonly link: string };

const CODE = 'usr/lib/headgate';
const DOC = 'usr/share/doc/headgate';

function text(root: string, path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

function gz(content: string): Uint8Array {
  return gzipSync(content, { level: 9 });
}

/** Files right in a folder of the project. */
function namesIn(root: string, folder: string): string[] {
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

/** Throws if a prebuild is missing or of another machine than its folder says. */
function nativeEntries(root: string, architecture: Architecture, { packages }: Bundle): Entry[] {
  const used = NATIVE_PACKAGES.filter((name) => packages.includes(`node_modules/${name}`));
  return used.flatMap((name) => {
    const folder = join(root, 'node_modules', name, 'prebuilds', FACTS[architecture].folder);
    return nativeFiles(name, architecture, readdirSync(folder)).map(({ from, to }) => {
      const content = readFileSync(join(root, 'node_modules', from));
      const fault = elfFault(content, architecture);
      if (fault !== undefined) throw new Error(`${from}: ${fault}`);
      return { path: `${CODE}/native/${to}`, content };
    });
  });
}

function codeEntries(root: string, { files }: Bundle, { version }: Release): Entry[] {
  const about = { name: 'headgate', version: version.replace(/-[^-]*$/, ''), type: 'module' };
  const programs = [...files.keys()].filter((path) => /^headgate[-a-z]*\.js$/.test(path));
  const names = programs.filter((path) => files.get(path)?.startsWith('#!'));
  return [
    ...[...files].map(([path, content]) => ({
      path: `${CODE}/${path}`,
      content,
      mode: names.includes(path) ? 0o755 : 0o644,
    })),
    { path: `${CODE}/package.json`, content: `${JSON.stringify(about)}\n` },
    { path: `${CODE}/schema.sql`, content: text(root, 'deploy/cloud/schema.sql') },
    ...names.map((path) => ({
      path: `usr/bin/${path.replace(/\.js$/, '')}`,
      link: `../lib/headgate/${path}`,
    })),
  ];
}

function systemEntries(root: string): Entry[] {
  const units = namesIn(root, 'systemd').filter((name) => /\.(service|target)$/.test(name));
  const folder = 'headgate.service.d';
  const dropIns = namesIn(root, `systemd/${folder}`).map((name) => `${folder}/${name}`);
  const files: Array<readonly [string, string]> = [
    ...[...units, ...dropIns].map((name) => [`systemd/system/${name}`, name] as const),
    ['sysusers.d/headgate.conf', 'headgate.sysusers'],
    ['tmpfiles.d/headgate.conf', 'headgate.tmpfiles'],
    ['udev/rules.d/60-headgate.rules', '60-headgate.rules'],
  ];
  return files.map(([to, from]) => ({
    path: `usr/lib/${to}`,
    content: text(root, `systemd/${from}`),
  }));
}

/** Program → what its --help prints, of which its page is made. */
const HELPS: Readonly<Record<string, string>> = {
  'headgate-serial': SERIAL_HELP,
  'headgate-sink': SINK_HELP,
};

function manualEntries({ version, epoch }: Release): Entry[] {
  const date = new Date(epoch * 1000).toISOString().slice(0, 10);
  const edition: Edition = { version, date };
  const made = [
    ['man1/headgate.1', headgatePage(COMMANDS, edition)],
    ['man5/headgate.yaml.5', settingsPage(edition)],
    ...Object.entries(HELPS).map(([name, help]) => [`man1/${name}.1`, helpPage(help, edition)]),
  ];
  return made.map(([path = '', content = '']) => ({
    path: `usr/share/man/${path}.gz`,
    content: gz(content),
  }));
}

const COMPLETIONS: Entry[] = [
  { path: 'bash-completion/completions/headgate', content: bashCompletion(COMMANDS) },
  { path: 'zsh/vendor-completions/_headgate', content: zshCompletion(COMMANDS) },
  { path: 'fish/vendor_completions.d/headgate.fish', content: fishCompletion(COMMANDS) },
].map(({ path, content }) => ({ path: `usr/share/${path}`, content }));

function docEntries(root: string, { packages }: Bundle, release: Release): Entry[] {
  const pages = namesIn(root, 'docs').filter((name) => name.endsWith('.md'));
  return [
    { path: `${DOC}/copyright`, content: copyrightText(root, packages) },
    { path: `${DOC}/changelog.Debian.gz`, content: gz(changelogText(release)) },
    { path: `${DOC}/changelog.gz`, content: gz(text(root, 'CHANGELOG.md')) },
    { path: `${DOC}/README.md`, content: text(root, 'README.md') },
    ...pages.map((name) => ({ path: `${DOC}/docs/${name}`, content: text(root, `docs/${name}`) })),
    {
      path: `${DOC}/examples/headgate.yaml`,
      content: text(root, 'deploy/headgate.yaml'),
    },
    {
      path: 'usr/share/lintian/overrides/headgate',
      content: text(root, 'deploy/deb/headgate.lintian-overrides'),
    },
  ];
}

export interface TreeOptions {
  readonly root: string;
  readonly architecture: Architecture;
  readonly release: Release;
  readonly bundle: Bundle;
}

/** Every file of the package below /, in the order of their paths. Throws if a part is missing. */
export function treeOf({ root, architecture, release, bundle }: TreeOptions): Entry[] {
  return [
    ...codeEntries(root, bundle, release),
    ...nativeEntries(root, architecture, bundle),
    ...systemEntries(root),
    ...docEntries(root, bundle, release),
    ...manualEntries(release),
    ...COMPLETIONS,
    { path: 'etc/headgate/headgate.yaml', content: packagedConfig() },
  ].sort((a, b) => (a.path < b.path ? -1 : 1));
}
