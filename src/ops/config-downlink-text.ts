/**
 * What may stand in the filters of the downlink. As in `config-text.ts`: words that go behind
 * `it is …:`, or undefined.
 */

const MAX_TOPIC_CHARACTERS = 256;
const MAX_FILTER_LEVELS = 32;
const CONTROL = /\p{Cc}/u;

/** Of any MQTT filter. */
export function filterFault(filter: string): string | undefined {
  if (filter.length > MAX_TOPIC_CHARACTERS) {
    return `longer than ${MAX_TOPIC_CHARACTERS} characters`;
  }
  if (CONTROL.test(filter)) return 'control characters are not allowed';
  const levels = filter.split('/');
  if (levels.length > MAX_FILTER_LEVELS) return `more than ${MAX_FILTER_LEVELS} levels`;
  for (const [index, level] of levels.entries()) {
    if (level === '') return 'a level is empty';
    if (level !== '+' && level.includes('+')) return '+ must be a level by itself';
    if (level !== '#' && level.includes('#')) return '# must be a level by itself';
    if (level === '#' && index < levels.length - 1) return '# may only be the last level';
  }
  return undefined;
}

/** A filter in the cloud: `headgate/{gateway}/down/#`. */
export function downlinkSourceFault(filter: string): string | undefined {
  const field = [...filter.matchAll(/\{[^}]*\}?/g)].find(([text]) => text !== '{gateway}');
  if (field !== undefined) return `${field[0]} is not {gateway}`;
  if (filter.startsWith('$share/')) {
    return 'of a shared subscription another one may get what is meant for this gateway';
  }
  return filterFault(filter);
}

/** Where the downlink may publish: `commands/#`. */
export function localFilterFault(filter: string): string | undefined {
  const fault = filterFault(filter);
  if (fault !== undefined) return fault;
  const [first = ''] = filter.split('/');
  if (first === '+' || first === '#') return 'the first level must be a name';
  if (first.startsWith('$') || first === 'headgate') {
    return "topics below headgate/ and those that start with $ are the broker's own";
  }
  return undefined;
}
