import { reportOf } from '../audit/report.ts';
import { checkStream, findBooks } from './audit-source.ts';
import { printReport } from './audit-text.ts';
import {
  CONFIG_OPTION,
  type Command,
  DATA_OPTION,
  JSON_OPTION,
  textValue,
  type Values,
} from './command.ts';
import { timeOption } from './read-range.ts';
import { readSettings, type Settings } from './settings.ts';
import { openViews, timesOf } from './stores.ts';

async function sinceOf(values: Values, { data }: Settings): Promise<number | undefined> {
  if (values['since'] === undefined) return undefined;
  const views = await openViews(data);
  return timeOption(values, 'since', await timesOf(views.values()));
}

export const audit: Command = {
  name: 'audit',
  usage:
    'headgate audit [--since TIME] [--stream NAME] [--json] [--data DIR]\n' +
    '                  [--config FILE]',
  summary: 'what came in and what became of it, by minute; exit code 1 if it does not balance',
  options: {
    ...CONFIG_OPTION,
    ...DATA_OPTION,
    ...JSON_OPTION,
    since: { type: 'string' },
    stream: { type: 'string' },
  },
  optionHelp: {
    since: 'only buckets that end after this time: 2026-05-04T12:00:00Z, or 2h (ago)',
    stream: 'only this stream',
  },
  positionals: [0, 0],
  async run(values, _, io) {
    const settings = await readSettings(values, io.env);
    const sinceMs = await sinceOf(values, settings);
    const stream = textValue(values, 'stream');
    const found = await findBooks(settings);
    checkStream(found.snapshot, stream);
    const report = reportOf({ ...found, sinceMs, stream });
    if (values['json'] === true) io.print(JSON.stringify(report));
    else printReport(report, io);
    return report.balanced ? 0 : 1;
  },
};
