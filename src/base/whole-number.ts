/** As people and programs write it: digits alone. undefined: it is none from `min` to `max`. */
export function parseWhole(text: string, min: number, max: number): number | undefined {
  const value = Number(text);
  return /^\d{1,16}$/.test(text) && value >= min && value <= max ? value : undefined;
}
