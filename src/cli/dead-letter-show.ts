import { ERRORS, HeadgateError } from '../base/errors.ts';
import type { LogRecord } from '../base/reading.ts';
import { recordJson } from '../base/record-json.ts';
import { earliestOffsets } from '../log/log-reader.ts';
import { recordsAt } from '../log/records-at.ts';
import { nodeFiles } from '../os/node-files.ts';
import { DEAD_LETTER } from '../stores.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, type Io, JSON_OPTION } from './command.ts';
import { letterOffset, openLetters } from './dead-letters.ts';
import { hexLines, textLines } from './payload-text.ts';
import type { TimedRecord } from './read-range.ts';
import { plain } from './record-text.ts';
import { endOffsets, type OpenStream } from './stores.ts';

/** Throws OFFSET_BEYOND_END, OFFSET_GONE. */
async function findLetter({ view }: OpenStream, offset: number): Promise<LogRecord> {
  const source = { files: nodeFiles, view, stream: DEAD_LETTER, partition: 0 };
  for await (const { record } of recordsAt(source, [offset])) {
    if (record !== undefined) return record;
  }
  const [end = 0] = (await endOffsets(view)).get(DEAD_LETTER) ?? [];
  const [earliest = 0] = earliestOffsets(view, DEAD_LETTER);
  if (offset >= end) {
    throw new HeadgateError(
      'OFFSET_BEYOND_END',
      end === 0 ? `${DEAD_LETTER} has none` : `the last one of ${DEAD_LETTER} is ${end - 1}`,
    );
  }
  const why = offset < earliest ? `${DEAD_LETTER} begins at ${earliest}` : 'its block is damaged';
  throw new HeadgateError('OFFSET_GONE', `${offset} is not kept: ${why}`);
}

/** What a code means; undefined: it is of another version. */
function meaningOf(code: string) {
  return code in ERRORS ? ERRORS[code as keyof typeof ERRORS] : undefined;
}

function shownRedriven(redriven: boolean | undefined): string {
  if (redriven === undefined) return 'not known: no daemon answers for this log';
  return redriven ? 'yes' : 'no';
}

function printLetter({ record, timeMs }: TimedRecord, redriven: boolean | undefined, io: Io): void {
  const { offset, reason = '', device, topic, payload, receivedAtMs } = record;
  const meaning = meaningOf(reason);
  const iso = (ms: number) => new Date(Math.round(ms)).toISOString();
  const isCorrected = Math.abs(timeMs - receivedAtMs) >= 1;
  const then = isCorrected ? `  (the clock said ${iso(receivedAtMs)})` : '';
  const lines: ReadonlyArray<readonly [name: string, value: string | undefined]> = [
    ['offset', String(offset)],
    ['arrived', iso(timeMs) + then],
    ['topic', plain(topic)],
    ['device', plain(device)],
    ['reason', reason],
    ['', meaning?.cause],
    ['what to do', meaning?.mend],
    ['redriven', shownRedriven(redriven)],
    ['payload', `${payload.length} bytes`],
  ];
  for (const [name, value] of lines) {
    if (value !== undefined) io.print(`${name.padEnd(12)}${value}`);
  }
  if (payload.length === 0) return;
  for (const line of textLines(payload) ?? hexLines(payload)) io.print(`  ${line}`);
}

/** Resolves when standard output has taken them. */
function writeBytes(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(bytes, () => resolve());
  });
}

export const deadLetterShow: Command = {
  name: 'dead-letter show',
  usage: 'headgate dead-letter show OFFSET [--raw | --json] [--data DIR] [--config FILE]',
  summary: 'one message that was no reading: why, what to do about it, and its payload',
  options: { raw: { type: 'boolean' }, ...JSON_OPTION, ...CONFIG_OPTION, ...DATA_OPTION },
  positionals: [1, 1],
  async run(values, [text = ''], io) {
    if (values['raw'] && values['json']) throw new HeadgateError('USAGE', 'either --raw or --json');
    const offset = letterOffset(text);
    const letters = await openLetters(values, io.env);
    const record = await findLetter(letters, offset);
    if (values['raw']) {
      await writeBytes(record.payload);
      return 0;
    }
    const timeMs = letters.times.timeOfRecord(record);
    const redriven = await letters.marks.has(offset);
    if (!values['json']) {
      printLetter({ record, timeMs }, redriven, io);
      return 0;
    }
    const { cause, mend } = meaningOf(record.reason ?? '') ?? {};
    const bytes = record.payload.length;
    const more = { bytes, cause, mend, redriven: redriven ?? null };
    io.print(JSON.stringify({ ...recordJson(record, timeMs), ...more }));
    return 0;
  },
};
