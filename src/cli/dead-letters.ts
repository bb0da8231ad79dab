import { codeOf, ERRORS, HeadgateError } from '../base/errors.ts';
import { hasOffset } from '../base/offset-ranges.ts';
import { parseWhole } from '../base/whole-number.ts';
import { logName } from '../log/format.ts';
import type { RedrivenPage } from '../log/redriven-notes.ts';
import { askControl } from '../ops/control-client.ts';
import type { DataFolder } from '../ops/data-folder.ts';
import { nearestName } from '../ops/nearest-name.ts';
import { DEAD_LETTER } from '../stores.ts';
import {
  CONFIG_OPTION,
  DATA_OPTION,
  type Io,
  type Options,
  textValue,
  type Values,
} from './command.ts';
import { dataFolderOf } from './settings.ts';
import { type OpenStream, openStream } from './stores.ts';

/** What the commands of dead letters have in common. */

/** Which of them: as `log read` chooses, and by reason. */
export const LETTER_RANGE_OPTIONS: Options = {
  ...CONFIG_OPTION,
  ...DATA_OPTION,
  since: { type: 'string' },
  until: { type: 'string' },
  reason: { type: 'string' },
  device: { type: 'string' },
};

/** Throws USAGE: a slip in a code would pass for a reason that nothing has. */
export function checkReason(values: Values): void {
  const reason = textValue(values, 'reason');
  if (reason === undefined || reason in ERRORS) return;
  const near = nearestName(reason, Object.keys(ERRORS));
  const meant = near === undefined ? 'see docs/errors.md' : `did you mean ${near}?`;
  throw new HeadgateError('USAGE', `--reason: ${reason} is no code; ${meant}`);
}

/** Throws USAGE. */
export function letterOffset(text: string): number {
  const offset = parseWhole(text, 0, Number.MAX_SAFE_INTEGER);
  if (offset !== undefined) return offset;
  throw new HeadgateError('USAGE', `${text} is no offset`);
}

interface OpenLetters extends OpenStream {
  readonly data: DataFolder;
  readonly marks: RedrivenMarks;
}

/** The dead letters of a data folder. Throws NO_LOG, STREAM_UNKNOWN. */
export async function openLetters(values: Values, env: NodeJS.ProcessEnv): Promise<OpenLetters> {
  const data = await dataFolderOf(values, env);
  const opened = await openStream(data, DEAD_LETTER);
  const logId = opened.view.segments().at(-1)?.header.logId;
  const marks = new RedrivenMarks(data.socket, logId === undefined ? '' : logName(logId));
  return { ...opened, data, marks };
}

/** Which were redriven: the daemon has the notes. Asked a stretch of offsets at a time. */
export class RedrivenMarks {
  readonly #socket: string;
  readonly #log: string;
  #page: RedrivenPage | undefined;
  #isUnknown = false;

  /** `log`: whose offsets they are. */
  constructor(socket: string, log: string) {
    this.#socket = socket;
    this.#log = log;
  }

  /** undefined: no daemon answers that knows. */
  async has(offset: number): Promise<boolean | undefined> {
    if (this.#isUnknown) return undefined;
    let page = this.#page;
    if (page === undefined || offset < page.from || offset >= page.end) {
      page = await this.#ask(offset);
      if (page?.log !== this.#log) {
        this.#isUnknown = true;
        return undefined;
      }
      this.#page = page;
    }
    return hasOffset(page.ranges, offset);
  }

  async #ask(offset: number): Promise<RedrivenPage | undefined> {
    try {
      const path = `/dead-letters/redriven?from=${offset}`;
      return (await askControl(this.#socket, path)) as RedrivenPage;
    } catch (error) {
      // PATH_UNKNOWN: it runs, and is of an earlier version.
      const unknown = ['NOT_RUNNING', 'NO_ACCESS', 'PATH_UNKNOWN'];
      if (unknown.includes(codeOf(error))) return undefined;
      throw error;
    }
  }

  /** Says on standard error why it is not known, if it is not. */
  tell(io: Io): void {
    if (!this.#isUnknown) return;
    io.complain('headgate: which were redriven is not known: no daemon answers for this log');
  }
}
