import * as v from 'valibot';
import { ConfigSchema } from './config.ts';

/**
 * The table of settings as rows, read off the schema: the loader needs them for variables, hints
 * and messages, the docs for everything else.
 */

/** The parts of a valibot schema that are looked at here. */
export interface Schema {
  readonly type: string;
  readonly default?: unknown;
  readonly wrapped?: Schema;
  readonly entries?: Readonly<Record<string, Schema>>;
  readonly item?: Schema;
  readonly value?: Schema;
  readonly options?: ReadonlyArray<string | number>;
  readonly pipe?: ReadonlyArray<{ readonly type: string; readonly requirement?: unknown }>;
}

export const ROOT = ConfigSchema as unknown as Schema;

/** Stands in a row's path for a name that the user gives. */
export const ANY_NAME = '<name>';

export interface ConfigKey {
  readonly path: readonly string[];
  /** Undefined below a name that the user gives. */
  readonly variable: string | undefined;
  /** What is allowed, in words: `a whole number from 0 to 65535`. */
  readonly allowed: string;
  /** A variable's value is taken as it stands, not as YAML: `0123` stays a text. */
  readonly isText: boolean;
  readonly default: unknown;
  readonly description: string;
}

/** The schema without its default. */
export function bare(schema: Schema): Schema {
  return schema.wrapped === undefined ? schema : bare(schema.wrapped);
}

/** True if it may be left out. */
export function isOptional(schema: Schema): boolean {
  return schema.type === 'nullish';
}

/** The schema for what stands below `name`, if the table knows it. */
export function schemaBelow(schema: Schema, name: string): Schema | undefined {
  const { entries, item, value } = bare(schema);
  if (entries !== undefined) return Object.hasOwn(entries, name) ? entries[name] : undefined;
  return value ?? item;
}

export function schemaAt(path: readonly string[]): Schema | undefined {
  return path.reduce<Schema | undefined>(
    (schema, name) => (schema === undefined ? undefined : schemaBelow(schema, name)),
    ROOT,
  );
}

function requirementOf(schema: Schema, type: string): number | undefined {
  const requirement = schema.pipe?.find((step) => step.type === type)?.requirement;
  return typeof requirement === 'number' ? requirement : undefined;
}

function allowedNumber(schema: Schema): string {
  const least = requirementOf(schema, 'min_value');
  const most = requirementOf(schema, 'max_value');
  const step = requirementOf(schema, 'multiple_of');
  const isWhole = schema.pipe?.some((part) => part.type === 'integer') ?? false;
  const range = `a ${isWhole ? 'whole ' : ''}number from ${least} to ${most}`;
  return step === undefined ? range : `${range}, a multiple of ${step}`;
}

function allowedCount(schema: Schema, what: string, types: readonly [string, string]): string {
  const [least, most] = types.map((type) => requirementOf(schema, type));
  return `${what} ${least ?? 0} to ${most}`;
}

/** What is allowed, in words. */
export function allowedBy(schema: Schema): string {
  const inner = bare(schema);
  const { allowed } = v.getMetadata(inner as unknown as v.GenericSchema);
  if (typeof allowed === 'string') return allowed;
  switch (inner.type) {
    case 'number':
      return allowedNumber(inner);
    case 'boolean':
      return 'true or false';
    case 'picklist':
      return `one of ${(inner.options ?? []).join(', ')}`;
    case 'array':
      return `${allowedCount(inner, 'a list of', ['min_length', 'max_length'])} texts`;
    case 'record':
      return `${allowedCount(inner, 'a map of', ['min_entries', 'max_entries'])} names`;
    case 'strict_object':
      return `a map with any of ${Object.keys(inner.entries ?? {}).join(', ')}`;
    default:
      return 'a text';
  }
}

function defaultOf(schema: Schema): unknown {
  return typeof schema.default === 'function' ? schema.default() : schema.default;
}

/**
 * `mqtt.maxPayloadBytes` → `HEADGATE_MQTT_MAX_PAYLOAD_BYTES`; capitals in a row are one word:
 * `budgetMBPerDay` → `BUDGET_MB_PER_DAY`.
 */
function variableOf(path: readonly string[]): string | undefined {
  if (path.includes(ANY_NAME)) return undefined;
  const words = path.map((name) =>
    name.replaceAll(/[A-Z]+(?![a-z])|[A-Z]/g, (capitals) => `_${capitals}`),
  );
  return `HEADGATE_${words.join('_').toUpperCase()}`;
}

function rowsBelow(schema: Schema, path: readonly string[]): ConfigKey[] {
  const inner = bare(schema);
  const below = Object.entries(inner.entries ?? {}).flatMap(([name, entry]) =>
    rowsBelow(entry, [...path, name]),
  );
  if (inner.type === 'strict_object') return below;
  const row = {
    path,
    variable: variableOf(path),
    allowed: allowedBy(schema),
    isText: inner.type === 'string',
    default: defaultOf(schema),
    description: v.getDescription(inner as unknown as v.GenericSchema) ?? '',
  };
  const named = inner.value === undefined ? [] : rowsBelow(inner.value, [...path, ANY_NAME]);
  return [row, ...named];
}

export const CONFIG_KEYS: readonly ConfigKey[] = rowsBelow(ROOT, []);

/** `['streams', 'readings', 'topics', '0']` → `streams.readings.topics[0]`. */
export function showPath(path: readonly string[]): string {
  return path
    .map((name, index) =>
      index > 0 && /^\d+$/.test(name) && isList(path.slice(0, index)) ? `[${name}]` : `.${name}`,
    )
    .join('')
    .slice(1);
}

function isList(path: readonly string[]): boolean {
  const schema = schemaAt(path);
  return schema !== undefined && bare(schema).type === 'array';
}
