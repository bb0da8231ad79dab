import type { ErrorCode } from './errors.ts';

/** Why a record that is a reading, or an alert, stands among the dead letters as well. */
const PARKED: readonly string[] = ['CLOUD_REFUSED', 'CLOUD_TOO_LARGE'] satisfies ErrorCode[];

/** The uplink has set it aside; it stays in its own stream too. */
export function isParked(reason: string | undefined): boolean {
  return reason !== undefined && PARKED.includes(reason);
}
