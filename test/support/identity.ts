import type { Envelope } from '../../src/uplink/envelope.ts';

/** The identity as one text, as a receiver may make it: docs/uplink.md. */
export function identityOf(envelope: Envelope): string {
  const { gateway, log, stream, partition, offset } = envelope;
  return `${gateway}/${log}/${stream}/${partition}/${offset}`;
}
