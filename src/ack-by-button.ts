import { openAckButton } from '../firmware-bridge/gpio/ack-button.ts';
import type { Clock } from './base/clock.ts';
import { codeOf, messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import type { Alerts } from './ops/alert-routes.ts';
import type { Config } from './ops/config.ts';
import { writeAttribute } from './os/attribute.ts';
import type { Files } from './os/files.ts';
import { systemPrograms } from './os/programs.ts';

export interface ButtonParts {
  readonly config: Config;
  readonly files: Files;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Acknowledges all alerts: what the button does. Logs how it went, and never rejects. */
export async function acknowledgeAll(alerts: Alerts, logger: Logger): Promise<void> {
  try {
    const rows = await alerts.acknowledge(undefined);
    const done = rows.filter(({ outcome }) => outcome === 'acknowledged').length;
    logger.info({ alerts: done }, 'acknowledged by the button');
  } catch (error) {
    const fields = { code: codeOf(error), error: messageOf(error) };
    logger.error(fields, 'what the button acknowledged could not be stored: press it again');
  }
}

/** Listens to the button that is configured. Resolves with how to stop that. */
export async function startButton(
  { config, files, clock, logger }: ButtonParts,
  alerts: Alerts,
): Promise<() => unknown> {
  const programs = systemPrograms(process.env);
  const parts = { files, programs, writeAttribute, clock, logger };
  const button = await openAckButton(config.gpio, parts, () => {
    void acknowledgeAll(alerts, logger);
  });
  return () => button?.close();
}
