/** A field of its own, whatever its name: a plain `__proto__` would be a setter. */
export function setField(fields: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') fields[name] = value;
  else {
    const own = { value, configurable: true, enumerable: true, writable: true };
    Object.defineProperty(fields, name, own);
  }
}
