import { openLine } from '../firmware-bridge/gpio/open-line.ts';
import { PatternSignal } from '../firmware-bridge/gpio/pattern-signal.ts';
import { parseAlert } from './alert/alert-message.ts';
import { Alerter } from './alert/alerter.ts';
import { AlertStore } from './alert-store.ts';
import type { Clock } from './base/clock.ts';
import type { Counters } from './base/counters.ts';
import type { Logger } from './base/logger.ts';
import { Dedup } from './dedup/dedup.ts';
import type { Broker } from './ingest/broker.ts';
import type { Config } from './ops/config.ts';
import { writeAttribute } from './os/attribute.ts';
import type { Files } from './os/files.ts';
import { systemPrograms } from './os/programs.ts';
import { readLast } from './refill.ts';
import { ALERTS, type Stores } from './stores.ts';

export interface AlerterParts {
  readonly config: Config;
  readonly files: Files;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly stores: Stores;
  readonly broker: Broker;
  readonly counters: Counters;
  /** Takes what is to be stopped, in the order of starting. */
  readonly onStop: (part: string, stop: () => unknown) => void;
}

/** The line, and who drives it: what was active before is active again. */
export async function openAlerter(parts: AlerterParts): Promise<Alerter> {
  const { config, files, clock, logger, stores, broker, counters, onStop } = parts;
  const programs = systemPrograms(process.env);
  const line = await openLine(config.gpio, { files, programs, writeAttribute, clock, logger });
  const patterns = config.gpio.pattern;
  const signal = new PatternSignal({ line, patterns, clock, logger });
  onStop('alert line', () => signal.close());
  const { maxIds } = config.dedup;
  // However far a replay goes back.
  const windows = { windowMs: Number.MAX_SAFE_INTEGER, windowIds: maxIds };
  const dedup = new Dedup({ mode: 'id', ...windows, maxIds, maxDevices: maxIds });
  const store = new AlertStore({ events: stores.events, dedup, clock });
  const alerter = new Alerter({
    isStored: (alert) => store.has(alert),
    append: (alert) => store.append(alert),
    publish: (topic, payload, retain) => broker.publish(topic, payload, { retain, qos: 1 }),
    signal,
    untilSeen: config.alerts.lineUntilSeen,
    latch: config.gpio.latch,
    lineSeverity: config.alerts.lineSeverity,
    counters,
    clock,
    logger,
  });
  const source = { files, journal: stores.events, stream: ALERTS };
  await readLast(source, maxIds, (record) => {
    dedup.remember(record);
    const alert = parseAlert(record.payload);
    if (alert !== undefined) alerter.remember(alert);
  });
  await alerter.start();
  return alerter;
}
