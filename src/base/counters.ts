/**
 * What happened since the daemon started. The books:
 * received = stored + duplicates + deadLettered + rejected + lostAfterAck + what is in flight.
 */
export interface Counters {
  /**
   * Publishes to a stream's topics, retransmits included; and dead letters that are a reading when
   * they are sent through again. One that still is none arrives nowhere, and is not counted.
   */
  received: number;
  /** Retransmits that were acknowledged and not stored again. */
  duplicates: number;
  /** Readings durable in their stream. */
  stored: number;
  /** Messages that are no reading, durable in `dead-letter` with their reason. */
  deadLettered: number;
  /** Messages that could not be made durable: not acknowledged, so their sender still has them. */
  rejected: number;
  /**
   * Readings of streams with `ack: received` that were acknowledged and then could not be stored.
   * What a kill or a power cut takes is not in here: nobody is left to count it.
   */
  lostAfterAck: number;
  /** Publishes on topics of no stream: passed on to subscribers, and not kept. Not in the books. */
  unrouted: number;
  /**
   * Messages of Sparkplug edge nodes that never came, by the gaps in their numbers. They are in the
   * books nowhere: nobody can count what was not there.
   */
  sparkplugGaps: number;
  /** Records that the cloud acknowledged. */
  forwarded: number;
  /** Records that the cloud did not take: set aside, among the dead letters too. */
  parked: number;
  /** Messages of the cloud that were published here; one that came twice counts twice. */
  downlinked: number;
  /** Messages of the cloud that were acknowledged and published nowhere: see docs/downlink.md. */
  downlinkRefused: number;
  /** Alerts begun. */
  alerts: number;
}

export function newCounters(): Counters {
  return {
    received: 0,
    duplicates: 0,
    stored: 0,
    deadLettered: 0,
    rejected: 0,
    lostAfterAck: 0,
    unrouted: 0,
    sparkplugGaps: 0,
    forwarded: 0,
    parked: 0,
    downlinked: 0,
    downlinkRefused: 0,
    alerts: 0,
  };
}
