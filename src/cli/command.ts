import type { ParseArgsConfig } from 'node:util';
import { HeadgateError } from '../base/errors.ts';
import { parseWhole } from '../base/whole-number.ts';

/** What a command may touch besides its arguments. */
export interface Io {
  readonly env: NodeJS.ProcessEnv;
  /** Writes one line to standard output; false when nobody reads it any more. */
  print(line: string): boolean;
  /** Writes one line to standard error. */
  complain(line: string): void;
}

export type Options = NonNullable<ParseArgsConfig['options']>;
export type Values = Readonly<Record<string, string | boolean | undefined>>;

/** One command of `headgate`, in a file of its own. */
export interface Command {
  /** As typed: `log read`. */
  readonly name: string;
  readonly usage: string;
  readonly summary: string;
  readonly options: Options;
  /** What an option means here, where that is not what it means in other commands. */
  readonly optionHelp?: Readonly<Record<string, string>>;
  /** Positional arguments: how many at least and at most. */
  readonly positionals: readonly [min: number, max: number];
  /** Returns the exit code. */
  run(values: Values, positionals: readonly string[], io: Io): Promise<number>;
}

export const DATA_OPTION = { data: { type: 'string' } } as const;
export const CONFIG_OPTION = { config: { type: 'string' } } as const;
export const JSON_OPTION = { json: { type: 'boolean' } } as const;

export function textValue(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

/** The value of an option that is a whole number. Throws USAGE. */
export function whole(
  option: string,
  text: string,
  least = 0,
  most = Number.MAX_SAFE_INTEGER,
): number {
  const value = parseWhole(text, least, most);
  if (value !== undefined) return value;
  const detail = `--${option}: ${text} is not a whole number from ${least} to ${most}`;
  throw new HeadgateError('USAGE', detail);
}
