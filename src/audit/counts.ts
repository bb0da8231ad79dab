/** What is counted of each bucket, and what must balance. Pure. Names are stable: docs/audit.md. */

export const COUNT_NAMES = [
  'received',
  'duplicates',
  'deadLettered',
  'refused',
  'lostAfterAck',
  'stored',
  'opening',
  'forwarded',
  'cloudAcked',
  'expired',
  'notForwarded',
  'lost',
  'parked',
] as const;

export type CountName = (typeof COUNT_NAMES)[number];
export type Counts = { [name in CountName]: number };

export function noCounts(): Counts {
  return {
    received: 0,
    duplicates: 0,
    deadLettered: 0,
    refused: 0,
    lostAfterAck: 0,
    stored: 0,
    opening: 0,
    forwarded: 0,
    cloudAcked: 0,
    expired: 0,
    notForwarded: 0,
    lost: 0,
    parked: 0,
  };
}

/** `sign` -1 takes them away again. */
export function addCounts(to: Counts, more: Readonly<Counts>, sign: 1 | -1 = 1): void {
  for (const name of COUNT_NAMES) to[name] += sign * more[name];
}

export function copyOf(counts: Readonly<Counts>): Counts {
  const copy = noCounts();
  addCounts(copy, counts);
  return copy;
}

export function isNothing(counts: Readonly<Counts>): boolean {
  return COUNT_NAMES.every((name) => counts[name] === 0);
}

/** Messages that came in and are in none of the outcomes; 0 where the books balance. */
export function unexplained(counts: Readonly<Counts>): number {
  const { received, stored, duplicates, deadLettered, refused, lostAfterAck } = counts;
  return received - stored - duplicates - deadLettered - refused - lostAfterAck;
}

/**
 * Records that the cloud still has to get. Where the books balance it is the backlog: counted in
 * the log, and not from these numbers.
 */
export function owed(counts: Readonly<Counts>): number {
  const { stored, opening, cloudAcked, expired, notForwarded, lost, parked } = counts;
  return stored + opening - cloudAcked - expired - notForwarded - lost - parked;
}
