import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { type NativePackage, nativeName } from './architectures.ts';

/** The programs of the package and the packages of npm that they are made of. */
export interface Bundle {
  /** Path below the code folder → text. */
  readonly files: ReadonlyMap<string, string>;
  /** Folders below the project, `node_modules/mqtt` perhaps, of which code is in the bundle. */
  readonly packages: readonly string[];
}

/** Program → its source. */
const PROGRAMS: Readonly<Record<string, string>> = {
  headgate: 'src/main.ts',
  'headgate-serial': 'firmware-bridge/serial/main.ts',
  'headgate-sink': 'deploy/cloud/main.ts',
};

/**
 * Packages of CommonJS call `require` for what Node has built in; a module has none of its own.
 * The long names are ours: a bundled file may import the same function, and what is asked of
 * the second one is nothing to bundle.
 */
const BANNER = [
  "import { createRequire as headgateCreateRequire } from 'node:module';",
  'const require = headgateCreateRequire(import.meta.url), headgateNative = require;',
].join('\n');

/** In place of a search for prebuilds: the native file that the package brought along. */
function nativeCall(name: NativePackage): string {
  const old = "process.arch === 'arm' && require('node:os').machine().startsWith('armv6')";
  return `headgateNative('./native/${nativeName(name)}' + (${old} ? '.armv6' : '') + '.node')`;
}

/** The module of a package that looks for its native file → what stands there instead. */
const LOADERS: Readonly<Record<NativePackage, readonly [RegExp, string]>> = {
  'classic-level': [
    /classic-level\/binding\.js$/,
    `module.exports = ${nativeCall('classic-level')};`,
  ],
  '@serialport/bindings-cpp': [
    /bindings-cpp\/dist\/serialport-bindings\.js$/,
    `exports.binding = ${nativeCall('@serialport/bindings-cpp')};`,
  ],
};

/** Files that a source names from where it stands, and where they are in the one folder of code. */
const MOVED: ReadonlyArray<readonly [file: string, from: string, to: string]> = [
  ['src/cli/demo-gateway.ts', "'../main.js'", "'./headgate.js'"],
  ['deploy/cloud/main.ts', "'../../../deploy/cloud/schema.sql'", "'./schema.sql'"],
];

function moved(path: string, [file, from, to]: (typeof MOVED)[number]): string {
  const text = readFileSync(path, 'utf8');
  if (!text.includes(from)) throw new Error(`${file} does not name ${from} any more`);
  return text.replaceAll(from, to);
}

/** Looks for a package of npm around it, and takes that there is none. */
const AT_HOME_ANYWHERE = ['src/os/native-parts.ts'];

/** Throws if a source finds a file from where it stands, and nobody said where that is now. */
function checkPlaces(root: string, inputs: readonly string[]): void {
  const own = inputs.filter((path) => !path.includes('node_modules/'));
  const known = new Set([...AT_HOME_ANYWHERE, ...MOVED.map(([file]) => file)]);
  for (const path of own.filter((one) => !known.has(one))) {
    const text = readFileSync(join(root, path), 'utf8');
    if (/\bimport\.meta\.(url|dirname|filename)\b/.test(text)) {
      throw new Error(`${path} finds a file from where it stands: give it a line in MOVED`);
    }
  }
}

function ownParts(root: string): Plugin {
  return {
    name: 'own parts',
    setup({ onLoad }) {
      for (const [filter, contents] of Object.values(LOADERS)) {
        onLoad({ filter }, () => ({ contents, loader: 'js' }));
      }
      for (const one of MOVED) {
        const path = join(root, one[0]);
        const filter = new RegExp(`^${path.replaceAll(/[.+()[\]$^|?*{}\\]/g, '\\$&')}$`);
        onLoad({ filter }, () => ({ contents: moved(path, one), loader: 'ts' }));
      }
    },
  };
}

/** `node_modules/a/node_modules/b/lib/c.js` → `node_modules/a/node_modules/b`. */
function packageOf(path: string): string[] {
  const found = /^(.*\bnode_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
  return found === undefined ? [] : [found];
}

/** What is not there at run time: onoff is compiled for one Node (docs/install.md). */
const LEFT_OUT = ['onoff', 'pg-native', 'bufferutil', 'utf-8-validate', 'snappy', 'lz4'];

/** The node of Debian, not one that the path of whoever calls it has. */
function runnable(text: string): string {
  return text.replace('#!/usr/bin/env node', '#!/usr/bin/node');
}

/**
 * All programs and what they import, dynamic imports in files of their own, so that a gateway
 * without Kafka does not read Kafka. Names of functions stay: a stack is to be of use.
 */
export async function bundle(root: string): Promise<Bundle> {
  const { outputFiles, metafile, warnings } = await build({
    absWorkingDir: root,
    entryPoints: Object.entries(PROGRAMS).map(([out, source]) => ({ in: source, out })),
    outdir: 'bundle',
    ...{ bundle: true, splitting: true, write: false, metafile: true },
    ...{ platform: 'node', format: 'esm', target: 'node20' },
    chunkNames: '[name]-[hash]',
    banner: { js: BANNER },
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    external: LEFT_OUT,
    plugins: [ownParts(root)],
    logLevel: 'silent',
  });
  for (const { text, location } of warnings) {
    process.stderr.write(`bundle: ${location?.file ?? ''}: ${text}\n`);
  }
  checkPlaces(root, Object.keys(metafile.inputs));
  const folder = `${join(root, 'bundle')}/`;
  const files = outputFiles.map(
    ({ path, text }) => [path.replace(folder, ''), runnable(text)] as const,
  );
  const packages = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs)
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .flatMap(([path]) => packageOf(path)),
  );
  return { files: new Map(files.sort()), packages: [...new Set(packages)].sort() };
}
