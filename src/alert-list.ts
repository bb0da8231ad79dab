import type { Alarms } from './alarms.ts';
import type { AlertMessage } from './alert/alert-message.ts';
import type { Alerter } from './alert/alerter.ts';
import type { AckRow, AlertRow, Alerts } from './ops/alert-routes.ts';

/** The alerts that last or are latched, for those who ask. */
export class AlertList implements Alerts {
  readonly #alerter: Alerter;
  readonly #alarms: readonly Alarms[];

  constructor(alerter: Alerter, alarms: readonly Alarms[]) {
    this.#alerter = alerter;
    this.#alarms = alarms;
  }

  /** Those that last, then those that are latched. */
  list(): readonly AlertRow[] {
    const lasting = this.#alerter.list().map((begun) => this.#row(begun));
    const latched = this.#alerter.latched().map(({ begun, ended }) => {
      return { ...this.#row(begun), open: 0, ended };
    });
    return [...lasting, ...latched];
  }

  #row(begun: AlertMessage): AlertRow {
    const { alert, severity, fault, source, device, metric, since, reason } = begun;
    const { value, expected, score, cause, acknowledged } = begun;
    const flood = this.#alarms
      .map((one) => one.countOf(alert))
      .find((count) => count !== undefined);
    const { count, open } = flood ?? { count: begun.count, open: 1 };
    const seen = acknowledged === undefined ? {} : { acknowledged };
    const what = { alert, severity, fault, source, device, metric, value, expected, score, cause };
    return { ...what, since, reason, count, open, ...seen };
  }

  /** At once: one commit takes all. */
  async acknowledge(alerts: readonly string[] | undefined): Promise<readonly AckRow[]> {
    const all = () => this.list().filter(({ acknowledged }) => acknowledged === undefined);
    const names = alerts ?? all().map(({ alert }) => alert);
    return Promise.all(
      names.map(async (alert) => ({ alert, outcome: await this.#alerter.acknowledge(alert) })),
    );
  }
}
