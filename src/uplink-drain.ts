/** How the uplink gets on: what `headgate status` shows of it. Pure. */

export interface DrainStatus {
  /** Records that the cloud acknowledged, over the last half minute. */
  readonly recordsPerSecond: number;
  /** Age of the oldest record at hand that it has not, by its arrival; absent: there is none. */
  readonly backlogAgeSeconds?: number;
  /** When the backlog will be gone at this rate; absent: it does not get smaller. */
  readonly etaSeconds?: number;
  /** Sent since the start, with what the network adds around it. */
  readonly sentBytes: number;
  /** Of them for each record acknowledged since the start; absent before the first. */
  readonly bytesPerRecord?: number;
  /** What a day of 100 sensors at one record a second would cost at that, in megabytes (10^6). */
  readonly mbPerDayOf100Sensors?: number;
}

export interface DrainFacts {
  readonly backlog: number;
  readonly forwarded: number;
  readonly sentBytes: number;
  readonly recordsPerSecond: number;
  /** Records a second that come in; the backlog shrinks by the difference. */
  readonly storedPerSecond: number;
  /** Arrival of the oldest record that waits, ms since 1970; Infinity: none. */
  readonly oldestMs: number;
  readonly wallMs: number;
}

const RECORDS_A_DAY = 100 * 86_400;

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

export function drainOf(facts: DrainFacts): DrainStatus {
  const { backlog, forwarded, sentBytes, recordsPerSecond, storedPerSecond } = facts;
  const { oldestMs, wallMs } = facts;
  const shrinks = recordsPerSecond - storedPerSecond;
  const eta = backlog === 0 ? 0 : backlog / shrinks;
  const ageMs = Math.max(0, wallMs - oldestMs);
  const perRecord = sentBytes / forwarded;
  return {
    recordsPerSecond: rounded(recordsPerSecond, 1),
    ...(Number.isFinite(oldestMs) ? { backlogAgeSeconds: Math.round(ageMs / 1000) } : {}),
    ...(backlog === 0 || shrinks > 0 ? { etaSeconds: Math.ceil(eta) } : {}),
    sentBytes,
    ...(forwarded === 0
      ? {}
      : {
          bytesPerRecord: rounded(perRecord, 1),
          mbPerDayOf100Sensors: rounded((perRecord * RECORDS_A_DAY) / 1e6, 1),
        }),
  };
}
