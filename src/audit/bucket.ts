/**
 * Which bucket of event time a record belongs to. Pure, and a function of what the log stores, so
 * that every stage finds the same bucket for the same record, also after a restart.
 */

const MAX_AGE_MS = 30 * 86_400_000;
const MAX_AHEAD_MS = 3_600_000;

/** What decides it: both as the log has them, ms since 1970. */
export interface EventTimes {
  readonly deviceTimeMs?: number | undefined;
  readonly receivedAtMs: number;
}

/**
 * The device's own time where arrival makes it plausible, or else that of arrival. A device that
 * fills up what an outage has left may be weeks late; none can know the future.
 */
export function eventTimeMs(deviceTimeMs: number | undefined, receivedAtMs: number): number {
  if (deviceTimeMs === undefined) return receivedAtMs;
  const aheadMs = deviceTimeMs - receivedAtMs;
  return aheadMs >= -MAX_AGE_MS && aheadMs <= MAX_AHEAD_MS ? deviceTimeMs : receivedAtMs;
}

/** How a stream's time is cut. */
export interface Cut {
  readonly bucketMs: number;
  /** What lies before is one bucket, which begins at 0. */
  readonly mergedBeforeMs: number;
}

/** The start of the bucket that a moment lies in, ms since 1970. */
export function startOf(timeMs: number, { bucketMs, mergedBeforeMs }: Cut): number {
  return timeMs < mergedBeforeMs ? 0 : Math.floor(timeMs / bucketMs) * bucketMs;
}

export function bucketOf({ deviceTimeMs, receivedAtMs }: EventTimes, cut: Cut): number {
  return startOf(eventTimeMs(deviceTimeMs, receivedAtMs), cut);
}
