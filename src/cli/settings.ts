import { HeadgateError, unreadable } from '../base/errors.ts';
import type { Config } from '../ops/config.ts';
import { type DataFolder, dataFolder } from '../ops/data-folder.ts';
import {
  inFileOrder,
  type LoadedConfig,
  loadConfig,
  type Problem,
  showProblem,
} from '../ops/load-config.ts';
import { readNamedFiles } from '../ops/named-files.ts';
import { nodeFiles } from '../os/node-files.ts';
import { textValue, type Values, whole } from './command.ts';

const SYSTEM_CONFIG = '/etc/headgate/headgate.yaml';

export interface Settings {
  readonly config: Config;
  readonly data: DataFolder;
  /** The file the configuration came from, or undefined for the embedded default. */
  readonly file: string | undefined;
  /** What of the file has another name by now, a line each. */
  readonly warnings: readonly string[];
  problemAt(path: readonly string[], message: string): Problem;
}

/** The configuration is wrong: every problem, each a line. */
export class ConfigError extends HeadgateError {
  readonly problems: readonly Problem[];
  readonly lines: readonly string[];

  constructor(problems: readonly Problem[], file = 'the environment') {
    super('CONFIG_INVALID', `${problems.length} in ${file}`);
    this.problems = problems;
    this.lines = problems.map((problem) => showProblem(problem, file));
  }
}

async function configText(values: Values, env: NodeJS.ProcessEnv) {
  const named = textValue(values, 'config') ?? env['HEADGATE_CONFIG'];
  const file = named || SYSTEM_CONFIG;
  let text: string | undefined;
  try {
    text = await nodeFiles.readText(file);
  } catch (error) {
    throw new HeadgateError('CONFIG_UNREADABLE', unreadable(file, error), { cause: error });
  }
  if (text === undefined && named) throw new HeadgateError('CONFIG_UNREADABLE', `no file ${file}`);
  return { text: text ?? '', file: text === undefined ? undefined : file };
}

/**
 * The configuration of a command line: --config, else $HEADGATE_CONFIG, else the system's file if
 * there is one, else the embedded default; then the environment, then --data and --port. Throws
 * ConfigError, CONFIG_UNREADABLE, DATA_NO_FOLDER, USAGE.
 */
export async function readSettings(values: Values, env: NodeJS.ProcessEnv): Promise<Settings> {
  const { text, file } = await configText(values, env);
  const port = textValue(values, 'port');
  const dataDir = textValue(values, 'data');
  const overrides = {
    ...(port === undefined ? {} : { port: whole('port', port, 0, 65_535) }),
    ...(dataDir === undefined ? {} : { dataDir }),
  };
  const loaded = loadConfig({ text, env, overrides });
  if (!loaded.ok) throw new ConfigError(await everyProblem(loaded), file);
  const { config, problemAt } = loaded;
  const warnings = loaded.warnings.map((warning) => showProblem(warning, file ?? ''));
  return { config, data: await folderAt(config.data.dir, env), file, warnings, problemAt };
}

/** Throws DATA_NO_FOLDER. */
async function folderAt(dir: string, env: NodeJS.ProcessEnv): Promise<DataFolder> {
  const data = dataFolder(dir, env);
  const kind = await nodeFiles.kindOf(data.root);
  if (kind === undefined || kind === 'folder') return data;
  throw new HeadgateError('DATA_NO_FOLDER', `${data.root} is no folder`);
}

/** Those of the files that are named, too: whoever mends the rest must not meet them after it. */
async function everyProblem(faulty: LoadedConfig & { ok: false }): Promise<Problem[]> {
  const { problems, rest, problemAt } = faulty;
  if (rest === undefined) return [...problems];
  const { faults } = await readNamedFiles(nodeFiles, rest);
  return inFileOrder([...problems, ...faults.map(({ path, message }) => problemAt(path, message))]);
}

/** The data folder alone, for commands that read a log: a faulty configuration must not hide it. */
export async function dataFolderOf(values: Values, env: NodeJS.ProcessEnv): Promise<DataFolder> {
  const dir = textValue(values, 'data');
  return dir === undefined ? (await readSettings(values, env)).data : folderAt(dir, env);
}
