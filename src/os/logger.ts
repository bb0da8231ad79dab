import { pino } from 'pino';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { type Fields, safeFields, showFields } from './logger-fields.ts';
import { type Level, type Line, RepeatFilter } from './repeat-filter.ts';

/**
 * Diagnostics of a process: one line each to stdout, written at once and in this thread, so that
 * the last words before a crash are there. Repeats are collapsed: a link that flaps all night must
 * not fill a card.
 */

export type LoggerFormat = 'auto' | 'json' | 'text' | 'journald';

export interface LoggerOptions {
  readonly level: Level;
  readonly format: LoggerFormat;
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly isTty: boolean;
  /** Takes one line with its newline. Default: stdout. */
  readonly write?: (line: string) => void;
}

export interface ProcessLogger extends Logger {
  /** Writes what is known of the repeats so far. */
  flush(): void;
  /** Flushes and stops collapsing. Lines after it are still written, each by itself. */
  close(): void;
}

type Write = (line: string) => void;
type WriteLine = (line: Line) => void;

const RANK: Record<Level, number> = { debug: 20, info: 30, warn: 40, error: 50 };
/** syslog(3) priorities, which journald reads from the start of a line: see sd-daemon(3). */
const PRIORITY: Record<Level, number> = { debug: 7, info: 6, warn: 4, error: 3 };
/** Lines kept for a reader that has stopped reading; what comes on top of them is dropped. */
const MAX_BUFFERED_BYTES = 1_048_576;

function stdout(): Write {
  const destination = pino.destination({
    fd: 1,
    sync: true,
    maxLength: MAX_BUFFERED_BYTES,
    // By default a full pipe is waited for in this thread: whoever pauses our reader would stop the
    // broker. Unwritten lines stay in the buffer and go out with the next one.
    retryEAGAIN: () => false,
  });
  // A full pipe, or a device that fails. Unheard, this error would end the process; the
  // broker goes on instead, since nobody can be told.
  destination.on('error', () => {});
  return (line) => destination.write(line);
}

function jsonWriter(clock: Clock, write: Write): WriteLine {
  const logger = pino(
    {
      level: 'debug',
      base: null,
      timestamp: () => `,"time":"${isoTime(clock)}"`,
      formatters: { level: (level) => ({ level }) },
    },
    { write },
  );
  return ({ level, fields, message }) => logger[level](fields, message);
}

function isoTime(clock: Clock): string {
  return new Date(clock.wallMs()).toISOString();
}

function words({ fields, message }: Line): string {
  const shown = showFields(fields);
  const said = message.replace(/\p{Cc}/gu, ' ');
  return shown === '' ? said : `${said} ${shown}`;
}

/** Time in UTC, to the second: a person is looking on. */
function textWriter(clock: Clock, write: Write): WriteLine {
  return (line) => {
    const time = isoTime(clock).slice(11, 19);
    write(`${time}Z ${line.level.padEnd(5)} ${words(line)}\n`);
  };
}

/** No time: journald has its own. */
function journaldWriter(write: Write): WriteLine {
  return (line) => write(`<${PRIORITY[line.level]}>${words(line)}\n`);
}

function resolveFormat(options: LoggerOptions): Exclude<LoggerFormat, 'auto'> {
  if (options.format !== 'auto') return options.format;
  if (options.isTty) return 'text';
  return (options.env['JOURNAL_STREAM'] ?? '') === '' ? 'json' : 'journald';
}

function writerFor(options: LoggerOptions): WriteLine {
  const write = options.write ?? stdout();
  switch (resolveFormat(options)) {
    case 'json':
      return jsonWriter(options.clock, write);
    case 'text':
      return textWriter(options.clock, write);
    case 'journald':
      return journaldWriter(write);
  }
}

/**
 * A logger for the process. A field `error` is shown as its code and message; fields named like a
 * password, token or secret are masked. A line with the level, message and `code` of one that was
 * written in the last minute is counted and reported in a summary; see `base/logger.ts` for what
 * steers that.
 */
export function createLogger(options: LoggerOptions): ProcessLogger {
  const filter = new RepeatFilter({ clock: options.clock, write: writerFor(options) });
  const at = (level: Level) => {
    if (RANK[level] < RANK[options.level]) return () => {};
    return (fields: Fields, message: string) => {
      const { repeatKey, subject, ...rest } = fields;
      const line = { level, fields: safeFields(rest), message };
      filter.take(line, {
        ...(repeatKey === undefined ? {} : { apart: String(repeatKey) }),
        ...(subject === undefined ? {} : { subject: String(subject) }),
      });
    };
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    flush: () => filter.flush(),
    close: () => filter.close(),
  };
}
