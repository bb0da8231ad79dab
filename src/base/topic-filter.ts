/**
 * MQTT topic filters as lists of levels: `+` is any one level, a last `#` any number of them, none
 * included [MQTT-4.7.1-2]. A wildcard in the first level stands for no name that begins with $
 * [MQTT-4.7.2-1]. Pure.
 */

const isWild = (level: string | undefined) => level === '+' || level === '#';

/** A wildcard meets a name that it does not stand for. */
function isHidden(at: number, level: string | undefined, other: string | undefined): boolean {
  return at === 0 && isWild(level) && other?.startsWith('$') === true;
}

/**
 * What the wildcards of `filter` stand for in `topic`, in their order; what `#` stands for is one
 * entry, undefined where it is no level at all. undefined: the filter does not match.
 */
export function matchFilter(
  filter: readonly string[],
  topic: readonly string[],
): Array<string | undefined> | undefined {
  const found: Array<string | undefined> = [];
  for (const [i, level] of filter.entries()) {
    const name = topic[i];
    if (isHidden(i, level, name)) return undefined;
    if (level === '#') {
      return [...found, i < topic.length ? topic.slice(i).join('/') : undefined];
    }
    if (name === undefined) return undefined;
    if (level === '+') found.push(name);
    else if (level !== name) return undefined;
  }
  return filter.length === topic.length ? found : undefined;
}

/** The topic that `filter` becomes when its wildcards stand for `names`: undoes `matchFilter`. */
export function fillFilter(
  filter: readonly string[],
  names: ReadonlyArray<string | undefined>,
): string {
  let next = 0;
  const levels = filter.flatMap((level) => {
    if (!isWild(level)) return [level];
    const name = names[next++];
    return name === undefined ? [] : [name];
  });
  return levels.join('/');
}

/** The wildcards of a filter, in their order. */
export function wildcardsOf(filter: readonly string[]): string[] {
  return filter.filter(isWild);
}

/** Every topic that `inner` matches is one that `outer` matches. */
export function coversFilter(outer: readonly string[], inner: readonly string[]): boolean {
  for (const [i, level] of outer.entries()) {
    const other = inner[i];
    if (isHidden(i, level, other)) return false;
    if (level === '#') return true;
    if (other === undefined || other === '#') return false;
    if (level !== '+' && level !== other) return false;
  }
  return outer.length === inner.length;
}

/** There is a topic that both match. */
export function filtersMeet(one: readonly string[], two: readonly string[]): boolean {
  for (let i = 0; i < Math.max(one.length, two.length); i++) {
    const [a, b] = [one[i], two[i]];
    if (isHidden(i, a, b) || isHidden(i, b, a)) return false;
    if (a === '#' || b === '#') return true;
    if (a === undefined || b === undefined) return false;
    if (a !== b && !isWild(a) && !isWild(b)) return false;
  }
  return true;
}
