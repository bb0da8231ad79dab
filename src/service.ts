import type { Clock } from './base/clock.ts';
import { messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import { ServiceReport, type ServiceSample } from './ops/service-report.ts';
import { type ServiceManager, serviceManager } from './os/service-manager.ts';
import type { Status } from './status.ts';

export interface ServiceOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: systemd, if it wants to hear. */
  readonly manager?: ServiceManager;
}

/** Looks within the time after which an unfed watchdog ends the process. */
const LOOKS = 3;
const LOOK_EVERY_MS = 20_000;

/** How long the watchdog waits, ms; undefined if there is none for this process. */
function watchdogMs(env: NodeJS.ProcessEnv, pid: number): number | undefined {
  const forPid = env['WATCHDOG_PID'] ?? '';
  const ms = Number(env['WATCHDOG_USEC'] ?? '') / 1000;
  return ms > 0 && Number.isFinite(ms) && (forPid === '' || forPid === String(pid))
    ? ms
    : undefined;
}

function sampleOf(monoMs: number, status: Status): ServiceSample {
  const { received, backlog, activeAlerts, health, uplink, log } = status;
  const { link } = uplink;
  const logs = [log.telemetry, log.events];
  return { monoMs, received, backlog, activeAlerts, health, link, logs };
}

/** The daemon as seen by systemd: ready, what it does, alive, stops. Silent where there is none. */
export class Service {
  readonly #options: ServiceOptions;
  readonly #manager: ServiceManager | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#manager = options.manager ?? serviceManager(options);
  }

  starting(): void {
    this.#manager?.tell(['STATUS=starts: the log is recovered']);
  }

  /** The log is recovered and the listener is up. From here on `status` is asked now and then. */
  ready(status: () => Status): void {
    const manager = this.#manager;
    if (manager === undefined) return;
    const { env, pid, clock, logger } = this.#options;
    const first = status();
    const report = new ServiceReport(sampleOf(clock.monoMs(), first));
    manager.tell(['READY=1', `STATUS=listens on ${first.mqtt.host}, port ${first.mqtt.port}`]);
    const limitMs = watchdogMs(env, pid);
    const look = () => {
      try {
        const said = report.look(sampleOf(clock.monoMs(), status()));
        const isWatched = limitMs !== undefined;
        const due = said.filter((one) => isWatched || one !== 'WATCHDOG=1');
        if (due.length > 0) manager.tell(due);
      } catch (error) {
        // Not fed: a daemon that can't even say how it is gets no better by itself.
        logger.error({ error: messageOf(error) }, 'the state of the service can not be told');
      }
    };
    this.#timer = setInterval(look, limitMs === undefined ? LOOK_EVERY_MS : limitMs / LOOKS);
    this.#timer.unref();
  }

  /** What was accepted is committed now; nothing new is taken. */
  stopping(): void {
    clearInterval(this.#timer);
    this.#manager?.tell(['STOPPING=1', 'STATUS=stops: what it has is committed']);
  }
}
