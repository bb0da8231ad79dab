import type { Logger } from '../../src/base/logger.ts';
import type { OutputLine } from '../../src/base/output-line.ts';

/** The line of a machine without GPIO: changes are logged. */
export class LoggedLine implements OutputLine {
  readonly name = 'logged';
  readonly #logger: Logger;
  #active = false;
  #closed = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  set(active: boolean): void {
    if (this.#closed || active === this.#active) return;
    this.#active = active;
    const said = `the alert line is ${active ? 'active' : 'inactive'}`;
    this.#logger.warn({ subject: 'alert line', line: this.name, active }, said);
  }

  close(): void {
    this.set(false);
    this.#closed = true;
  }
}
