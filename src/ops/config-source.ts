import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from 'yaml';

/** The configuration file as text: what it says, and where it says so. Pure. */

export interface Problem {
  /** The setting, `mqtt.port`; '' if it concerns the file as a whole. */
  readonly path: string;
  /** From 1; absent if the value came from a variable or the command line. */
  readonly line?: number;
  readonly column?: number;
  /** What was found and what is allowed. */
  readonly message: string;
  /** What to do about it. */
  readonly mend?: string;
}

export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface ConfigSource {
  /** Maps, lists and scalars as the file has them; undefined if it is empty or no YAML. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
  /**
   * Where the setting stands: its name, or its value. The nearest one above it if it is not there.
   */
  positionOf(path: readonly string[], part: 'name' | 'value'): Position | undefined;
}

export const MAX_CONFIG_CHARACTERS = 1_048_576;
// A file that is written by hand has no use for more; one made to exhaust memory does.
const MAX_ALIASES = 100;

const YAML_OPTIONS = { prettyErrors: false, uniqueKeys: true, stringKeys: true } as const;

type YamlDocument = Document.Parsed;

interface Place {
  readonly name: Node | undefined;
  readonly value: Node | undefined;
}

function childOf(node: Node | undefined, name: string, document: YamlDocument): Place | undefined {
  const target = isAlias(node) ? node.resolve(document) : node;
  if (isSeq(target)) {
    const item = target.items[Number(name)];
    return item === undefined ? undefined : { name: undefined, value: item as Node };
  }
  if (!isMap(target)) return undefined;
  for (const pair of target.items) {
    if (isScalar(pair.key) && String(pair.key.value) === name) {
      return { name: pair.key, value: (pair.value ?? undefined) as Node | undefined };
    }
  }
  return undefined;
}

function offsetOf(
  document: YamlDocument,
  path: readonly string[],
  part: 'name' | 'value',
): number | undefined {
  let place: Place = { name: undefined, value: document.contents ?? undefined };
  let reached = 0;
  for (const name of path) {
    const child = childOf(place.value, name, document);
    if (child === undefined) break;
    place = child;
    reached += 1;
  }
  if (reached === 0) return undefined;
  // Of something that is missing, the name of what it is missing from says more than its contents.
  const wanted = part === 'value' && reached === path.length ? place.value : place.name;
  return (wanted ?? place.value ?? place.name)?.range?.[0];
}

function syntaxProblem(
  error: { code: string; message: string; pos: [number, number] },
  text: string,
  lines: LineCounter,
): Problem {
  const { line, col } = lines.linePos(error.pos[0]);
  const at = { line, column: col };
  if (error.code === 'DUPLICATE_KEY') {
    const name = /^[^\s:#]+/.exec(text.slice(error.pos[0]))?.[0] ?? '';
    return {
      path: '',
      ...at,
      message: `"${name}" stands here a second time`,
      mend: 'keep one of the two',
    };
  }
  if (error.code === 'MULTIPLE_DOCS') {
    const message = 'a second document begins here';
    return { path: '', ...at, message, mend: 'take the line --- out: the file is one document' };
  }
  const said = error.message.split('\n', 1)[0] ?? error.code;
  const mend =
    error.code === 'TAB_AS_INDENT'
      ? 'indent with spaces'
      : 'check the indentation, the colons and the quotes around here';
  return { path: '', ...at, message: `this is no valid YAML: ${said}`, mend };
}

function nothing(problems: readonly Problem[]): ConfigSource {
  return { value: undefined, problems, positionOf: () => undefined };
}

export function readConfigText(text: string): ConfigSource {
  if (text.length > MAX_CONFIG_CHARACTERS) {
    const message = `the file has ${text.length} characters; allowed: ${MAX_CONFIG_CHARACTERS}`;
    return nothing([{ path: '', message }]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { ...YAML_OPTIONS, lineCounter: lines });
  const faults = [...document.errors, ...document.warnings];
  const problems = faults.map((fault) => syntaxProblem(fault, text, lines));
  // A file that fell apart would only give follow-up problems; one with a name twice is whole.
  if (faults.some(({ code }) => code !== 'DUPLICATE_KEY')) return nothing(problems);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    const message = `this is no valid YAML: ${error instanceof Error ? error.message : error}`;
    return nothing([...problems, { path: '', line: 1, message }]);
  }
  const positionOf = (path: readonly string[], part: 'name' | 'value') => {
    const offset = offsetOf(document, path, part);
    if (offset === undefined) return undefined;
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  return { value: value ?? undefined, problems, positionOf };
}

/** A variable's value: a YAML scalar, or a list or map in flow form. */
export function readVariable(
  text: string,
): { readonly value: unknown } | { readonly fault: string } {
  if (text.length > MAX_CONFIG_CHARACTERS) return { fault: 'it is too long' };
  const document = parseDocument(text, YAML_OPTIONS);
  const [fault] = [...document.errors, ...document.warnings];
  if (fault !== undefined) return { fault: fault.message.split('\n', 1)[0] ?? fault.code };
  try {
    return { value: document.toJS({ maxAliasCount: 0 }) ?? undefined };
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error) };
  }
}
