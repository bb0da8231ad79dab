import type { Alarms } from './alarms.ts';
import type { Alerter } from './alert/alerter.ts';
import type { AckRow, AlertRow, Alerts } from './ops/alert-routes.ts';

/** The alerts that last, for those who ask. */
export class AlertList implements Alerts {
  readonly #alerter: Alerter;
  readonly #alarms: readonly Alarms[];

  constructor(alerter: Alerter, alarms: readonly Alarms[]) {
    this.#alerter = alerter;
    this.#alarms = alarms;
  }

  list(): readonly AlertRow[] {
    return this.#alerter.list().map((begun) => {
      const { alert, severity, fault, device, metric, since, reason, acknowledged } = begun;
      const flood = this.#alarms
        .map((one) => one.countOf(alert))
        .find((count) => count !== undefined);
      const { count, open } = flood ?? { count: begun.count, open: 1 };
      const seen = acknowledged === undefined ? {} : { acknowledged };
      return { alert, severity, fault, device, metric, since, reason, count, open, ...seen };
    });
  }

  /** At once: one commit takes all. */
  async acknowledge(alerts: readonly string[] | undefined): Promise<readonly AckRow[]> {
    const all = () => this.#alerter.list().filter(({ acknowledged }) => acknowledged === undefined);
    const names = alerts ?? all().map(({ alert }) => alert);
    return Promise.all(
      names.map(async (alert) => ({ alert, outcome: await this.#alerter.acknowledge(alert) })),
    );
  }
}
