import { Alarms } from './alarms.ts';
import { AlertStates } from './alert/alert-state.ts';
import { Limits } from './detect/limits.ts';
import { Silence } from './detect/silence.ts';
import type { Config } from './ops/config.ts';

/** How late a reading may come to detection after its commit. */
const HANDLING_MS = 500;

/** What raises the alerts of one stream of a log, by the settings. */
export function openAlarms(
  config: Config,
  { log, stream }: { log: string; stream: string },
): Alarms {
  const { alerts, detect, flash, limits } = config;
  const lingerMs = config.streams[stream]?.lingerMs ?? config.log.lingerMs;
  const stretchedMs = flash.budgetMBPerDay === 0 ? 0 : flash.maxLingerMs;
  const timing = {
    learned: alerts.silence.enabled,
    factor: alerts.silence.factor,
    minMs: alerts.silence.minSeconds * 1000,
    limits,
    graceMs: Math.max(lingerMs, stretchedMs) + HANDLING_MS,
    maxDevices: detect.maxSeries,
  };
  return new Alarms(() => ({
    states: new AlertStates({ ...alerts, log }),
    limits: new Limits(limits),
    silence: new Silence(timing),
  }));
}
