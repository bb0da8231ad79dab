/** Settings of the gateway under test: small files, so that a short run sees many of them. */

export const DEVICES = ['hall-1', 'hall-2', 'press-1', 'press-2', 'tank-1', 'tank-2'] as const;

/** A value beyond it is an alert, and the line goes active. */
export const LIMIT = 90;
export const PIN = 17;

const COMMON = `
log:
  segmentBytes: 1048576
  retention: { maxBytes: 67108864, minFreeBytes: 0 }
alerts: { clearCount: 1, coolDownMs: 0 }
limits:
  hot: { device: boiler, max: ${LIMIT}, severity: critical }
`;

/** Of the machine: reached from outside. */
export function guestConfig(ack: 'durable' | 'received', gpio: string): string {
  return `${COMMON}
mqtt: { host: 0.0.0.0, allowAnonymous: true }
streams: { readings: { topics: ['sensors/<device>/#'], ack: ${ack} } }
${gpio}`;
}

/** Of a checker, which opens the same data. */
export const CHECK_CONFIG = COMMON;
