import { fieldsOf } from './fields.ts';

/** JSON pointers (RFC 6901): where something stands in what a payload says. Pure. */

/** Names of fields and numbers of elements, from the outside in. */
export type Pointer = readonly string[];

const MAX_POINTER_CHARS = 256;
const MAX_POINTER_LEVELS = 16;

/** What is wrong with a pointer, in words. */
export function pointerFault(text: string): string | undefined {
  if (!text.startsWith('/')) return 'a JSON pointer begins with /, as in /meta/uid';
  if (text.length > MAX_POINTER_CHARS) return `longer than ${MAX_POINTER_CHARS} characters`;
  if (/~(?![01])/.test(text)) return 'in a JSON pointer ~ is written ~0, and / in a name ~1';
  const levels = text.split('/').length - 1;
  return levels > MAX_POINTER_LEVELS ? `more than ${MAX_POINTER_LEVELS} levels` : undefined;
}

/** The pointer that a sound text stands for. */
export function pointerOf(text: string): Pointer {
  const names = text.split('/').slice(1);
  return names.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
}

const ELEMENT = /^(0|[1-9]\d{0,9})$/;

/** What stands below `name`; undefined if nothing does. Only what the payload itself has. */
export function below(value: unknown, name: string): unknown {
  if (Array.isArray(value)) return ELEMENT.test(name) ? value[Number(name)] : undefined;
  const fields = fieldsOf(value);
  return fields !== undefined && Object.hasOwn(fields, name) ? fields[name] : undefined;
}

export function lookUp(value: unknown, pointer: Pointer): unknown {
  let found = value;
  for (const name of pointer) found = below(found, name);
  return found;
}
