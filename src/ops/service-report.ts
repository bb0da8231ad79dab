/**
 * What the service manager is told, and whether its watchdog is fed: a function of what the daemon
 * knows of itself at each look. Pure.
 */

export interface LogProgress {
  /** Attempts to commit that have ended, one way or the other. */
  readonly attempts: number;
  readonly isCommitting: boolean;
  readonly pendingBytes: number;
}

export interface ServiceSample {
  readonly monoMs: number;
  /** Publishes since the start. */
  readonly received: number;
  readonly backlog: number;
  readonly activeAlerts: number;
  readonly link: 'up' | 'down' | 'off';
  /** `ok`, or why readings are not acknowledged. */
  readonly health: string;
  /** Always the same logs in the same order. */
  readonly logs: readonly LogProgress[];
}

/** No setting lets a reading wait longer for company than a minute. */
const PENDING_TOO_LONG_MS = 75_000;

interface Seen {
  readonly progress: LogProgress;
  /** When it got somewhere, or had nowhere to go, for the last time. */
  readonly sinceMonoMs: number;
}

function isAsBefore(before: LogProgress, now: LogProgress): boolean {
  const isWanted = (one: LogProgress) => one.isCommitting || one.pendingBytes > 0;
  return before.attempts === now.attempts && isWanted(before) && isWanted(now);
}

function perSecond(count: number, ms: number): string {
  const rate = ms > 0 ? Math.max(0, count) / (ms / 1000) : 0;
  return rate >= 10 || Number.isInteger(rate) ? rate.toFixed(0) : rate.toFixed(1);
}

export class ServiceReport {
  #received: number;
  #lookedMonoMs: number;
  #seen: readonly Seen[];
  #said = '';

  /** From the moment on at which the daemon is ready. */
  constructor(first: ServiceSample) {
    this.#received = first.received;
    this.#lookedMonoMs = first.monoMs;
    this.#seen = first.logs.map((progress) => ({ progress, sinceMonoMs: first.monoMs }));
  }

  /**
   * Assignments for systemd. No `WATCHDOG=1` while the attempt to commit that was on its way at the
   * look before has not ended, nor while something waits that nobody commits: a restart helps
   * there. An attempt that fails has ended: the journal tries again, and a restart could do no
   * better.
   */
  look(sample: ServiceSample): string[] {
    const stuckForMs = this.#stuckForMs(sample);
    const figures = this.#figures(sample);
    this.#received = sample.received;
    this.#lookedMonoMs = sample.monoMs;
    const stuck =
      stuckForMs === undefined
        ? []
        : [`no commit ends for ${Math.round(stuckForMs / 1000)} s`, 'watchdog is not fed'];
    const health = sample.health === 'ok' ? [] : [`nothing is acknowledged: ${sample.health}`];
    const text = [...stuck, ...health, ...figures].join(', ').replace(/\p{Cc}/gu, ' ');
    const status = text === this.#said ? [] : [`STATUS=${text}`];
    this.#said = text;
    return stuckForMs === undefined ? [...status, 'WATCHDOG=1'] : status;
  }

  #figures({ received, monoMs, backlog, activeAlerts, link }: ServiceSample): string[] {
    const rate = perSecond(received - this.#received, monoMs - this.#lookedMonoMs);
    return [
      `${rate} readings/s`,
      ...(link === 'off' ? ['no uplink'] : [`link ${link}`, `backlog ${backlog}`]),
      `${activeAlerts} ${activeAlerts === 1 ? 'alert' : 'alerts'}`,
    ];
  }

  /** For how long the log that is worst off has got nowhere; undefined if all is well. */
  #stuckForMs({ monoMs, logs }: ServiceSample): number | undefined {
    let worstMs: number | undefined;
    this.#seen = logs.map((progress, index) => {
      const before = this.#seen[index];
      if (before === undefined || !isAsBefore(before.progress, progress)) {
        return { progress, sinceMonoMs: monoMs };
      }
      const forMs = monoMs - before.sinceMonoMs;
      const isSame = before.progress.isCommitting && progress.isCommitting;
      if (isSame || forMs > PENDING_TOO_LONG_MS) worstMs = Math.max(worstMs ?? 0, forMs);
      return { progress, sinceMonoMs: before.sinceMonoMs };
    });
    return worstMs;
  }
}
