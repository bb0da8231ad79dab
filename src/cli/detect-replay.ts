import { systemClock } from '../base/clock.ts';
import { HeadgateError } from '../base/errors.ts';
import { silentLogger } from '../base/logger.ts';
import { loadDecoder } from '../decode/load-decoder.ts';
import { isoTime } from './chart-axis.ts';
import {
  CONFIG_OPTION,
  type Command,
  DATA_OPTION,
  type Io,
  JSON_OPTION,
  textValue,
  type Values,
} from './command.ts';
import { writeOut } from './out-file.ts';
import { chosenRecords } from './read-range.ts';
import { alertTable, REPLAY_CSV_HEADER, ReplayChart, replayCsv } from './replay-format.ts';
import { ReplayNames } from './replay-names.ts';
import { replayRange } from './replay-range.ts';
import { ReplayReport, type ReplayRow } from './replay-report.ts';
import { ReplayRun } from './replay-run.ts';

const FORMATS = ['table', 'csv', 'svg', 'json'] as const;
type ReplayFormat = (typeof FORMATS)[number];

const STREAM = 'readings';
const PROGRESS_EVERY_MS = 2_000;

/** Throws USAGE. */
function formatOf(values: Values): ReplayFormat {
  const text = textValue(values, 'format');
  if (values['json'] === true) {
    if (text === undefined || text === 'json') return 'json';
    throw new HeadgateError('USAGE', `either --json or --format ${text}`);
  }
  const format = FORMATS.find((one) => one === (text ?? 'table'));
  if (format !== undefined) return format;
  throw new HeadgateError('USAGE', `--format is one of ${FORMATS.join(', ')}`);
}

/** Says on standard error how far a long reading has come. */
class Progress {
  readonly #io: Io;
  #records = 0;
  #saidAtMs = systemClock.monoMs();

  constructor(io: Io) {
    this.#io = io;
  }

  get records(): number {
    return this.#records;
  }

  at(timeMs: number): void {
    this.#records += 1;
    if (this.#records % 1_024 !== 0) return;
    const nowMs = systemClock.monoMs();
    if (nowMs - this.#saidAtMs < PROGRESS_EVERY_MS) return;
    this.#saidAtMs = nowMs;
    this.#io.complain(`headgate: ${this.#records} records, at ${isoTime(timeMs)}`);
  }
}

class Replay {
  readonly #values: Values;
  readonly #format: ReplayFormat;
  readonly #stream: string;
  readonly #io: Io;
  readonly #progress: Progress;
  readonly #report: ReplayReport;
  readonly #chart: ReplayChart;
  readonly #names: ReplayNames;
  /** Records in the range that is asked for. */
  #shown = 0;
  /** Values, shown or not. */
  #observed = 0;
  #rows: ReplayRow[] = [];

  constructor(values: Values, io: Io) {
    this.#values = values;
    this.#io = io;
    this.#format = formatOf(values);
    this.#stream = textValue(values, 'stream') ?? STREAM;
    this.#progress = new Progress(io);
    this.#chart = new ReplayChart(`${this.#stream}: what detection raises`);
    const device = textValue(values, 'device');
    const metric = textValue(values, 'metric');
    this.#names = new ReplayNames({ device, metric });
    this.#report = new ReplayReport({
      device,
      metric,
      onRow: (row) => this.#take(row),
    });
  }

  get lineEnd(): string {
    return this.#format === 'csv' ? '\r\n' : '\n';
  }

  #take(row: ReplayRow): void {
    if (this.#format === 'csv') this.#rows.push(row);
    else if (this.#format === 'svg') this.#chart.add(row);
  }

  /** What is printed; nothing is kept of what it has given out. */
  async *lines(): AsyncGenerator<string> {
    const [values, stream, io] = [this.#values, this.#stream, this.#io];
    const range = await replayRange(values, stream, io);
    const { config, file, log, read, isShown } = range;
    // Headgate's own streams hold JSON.
    const { format, metrics } = config.streams[stream] ?? { format: 'auto', metrics: [] };
    const decoder = await loadDecoder({ format, metrics });
    const run = new ReplayRun({ config, stream, decoder, log, logger: silentLogger });
    if (this.#format === 'csv') yield REPLAY_CSV_HEADER;
    for await (const one of chosenRecords(read, stream, io)) {
      const { record, timeMs } = one;
      this.#progress.at(timeMs);
      const at = { timeMs, runMs: record.runMs, isShown: isShown(one) };
      if (at.isShown) this.#shown += 1;
      this.#report.reach(record.runMs);
      for (const said of run.observe(record)) {
        this.#observed += 1;
        if (at.isShown && said.value !== undefined) this.#names.note(said.value);
        this.#report.take(said, at);
      }
      for (const row of this.#rows) yield replayCsv(row);
      this.#rows = [];
    }
    yield* this.#end(log, run.unwatched);
    this.#tell(run.unwatched);
    this.#tellWhyEmpty(range.kept, format, file);
  }

  #end(log: string, unwatched: number): readonly string[] {
    const [report, stream] = [this.#report, this.#stream];
    switch (this.#format) {
      case 'csv':
        return [];
      case 'svg':
        return [this.#chart.svg()];
      case 'table': {
        const alerts = report.alerts();
        return alerts.length === 0 ? [] : alertTable(alerts);
      }
      case 'json': {
        const { records } = this.#progress;
        const { alerts: raised, ...totals } = report.totals();
        const facts = { stream, log, records, ...totals, unwatched, raised };
        return [JSON.stringify({ ...facts, alerts: report.alerts() })];
      }
    }
  }

  /** On standard error: what it comes to. */
  #tell(unwatched: number): void {
    const { values, learning, series, alerts, active } = this.#report.totals();
    const { records } = this.#progress;
    const learnt = learning === 0 ? '' : `, ${learning} of them learnt from`;
    const lasting = active === 0 ? '' : `, ${active} active at the end`;
    const [io, given] = [this.#io, this.#values];
    io.complain(
      `headgate: ${records} records, ${values} values of ${series} series${learnt}; ` +
        `${alerts} alerts${lasting}`,
    );
    if (unwatched > 0) io.complain(`headgate: ${unwatched} values are of series not watched`);
    const isCold = given['from'] !== undefined && given['learn-from'] === undefined;
    if (isCold && values > 0 && learning === values) {
      io.complain('headgate: all were learnt from: --learn-from begins before --from');
    }
  }

  /** An empty answer to a wrong question would pass for an empty stream. */
  #tellWhyEmpty(kept: string, format: string, file: string | undefined): void {
    const { records } = this.#progress;
    const io = this.#io;
    const { values, alerts } = this.#report.totals();
    if (this.#shown === 0) io.complain(`headgate: no record is in this range; ${kept}`);
    else if (this.#observed === 0) {
      io.complain(`headgate: of ${records} records none has a sample in format ${format}`);
      if (file === undefined) io.complain('  Name the configuration of the daemon with --config.');
    } else if (values === 0 && alerts === 0) {
      const hint = this.#names.hint();
      if (hint !== undefined) io.complain(`headgate: ${hint}`);
    }
  }
}

export const detectReplay: Command = {
  name: 'detect replay',
  usage:
    'headgate detect replay [--stream NAME] [--from earliest|OFFSET|TIME] [--to TIME]\n' +
    '                  [--learn-from earliest|OFFSET|TIME] [--device NAME] [--metric NAME]\n' +
    '                  [--format table|csv|svg|json] [--json] [--out FILE]\n' +
    '                  [--config FILE] [--data DIR]',
  summary: 'what detection would have raised over the log with this configuration',
  options: {
    ...CONFIG_OPTION,
    ...DATA_OPTION,
    ...JSON_OPTION,
    stream: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    'learn-from': { type: 'string' },
    device: { type: 'string' },
    metric: { type: 'string' },
    format: { type: 'string' },
    out: { type: 'string' },
  },
  optionHelp: {
    config: 'YAML file with the settings to try; default: as for the daemon',
    device: 'shows only this device',
    format: 'table: an alert a line; csv: a value a line; svg: a chart; json; table by default',
    from: 'shows what came at this offset or time, or later; earliest by default',
    'learn-from': 'begins to learn there, before --from; by default where --from begins',
    metric: 'shows only this metric',
    stream: 'readings by default',
    to: 'only what came before this time: 2026-05-04T12:00:00Z, or 2h (ago)',
  },
  positionals: [0, 0],
  async run(values, _positionals, io) {
    const replay = new Replay(values, io);
    const out = textValue(values, 'out');
    const { lineEnd } = replay;
    if (out !== undefined) await writeOut(out, replay.lines(), lineEnd);
    else for await (const line of replay.lines()) if (!io.print(line + lineEnd.slice(0, -1))) break;
    return 0;
  },
};
