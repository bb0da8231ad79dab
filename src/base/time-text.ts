/** Times as people type them: on the command line and on the local socket. Pure. */

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};
const AGO = /^(\d{1,12})(ms|s|m|h|d|w)$/;
const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:\d\d)?)?$/;

/**
 * ms since 1970 of `2h` (so long before `nowMs`) or of ISO 8601 (`2026-05-04`, with a time, with a
 * zone; without one it is UTC). undefined: it is neither, or no day of the calendar.
 */
export function parseTime(text: string, nowMs: number): number | undefined {
  const [, count, unit = ''] = AGO.exec(text) ?? [];
  if (count !== undefined) return nowMs - Number(count) * (UNIT_MS[unit] ?? 0);
  const [, day, time = '00:00', zone = 'Z'] = ISO.exec(text) ?? [];
  if (day === undefined) return undefined;
  const dayMs = Date.parse(`${day}T00:00Z`);
  const ms = Date.parse(`${day}T${time}${zone}`);
  if (Number.isNaN(dayMs) || Number.isNaN(ms)) return undefined;
  // The 30th of February is taken for another day.
  return new Date(dayMs).toISOString().startsWith(day) ? ms : undefined;
}
