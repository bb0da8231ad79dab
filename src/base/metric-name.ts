/** Names of metrics come from devices. */

/** One device that makes up names must not take the room of the others. */
export const MAX_METRICS_PER_DEVICE = 256;

const LONE_SURROGATE = /\p{Surrogate}/gu;

/** JSON may name a field with half a character, which can be no part of a key or a topic. */
export function wellFormed(metric: string): string {
  return metric.replace(LONE_SURROGATE, '\ufffd');
}
