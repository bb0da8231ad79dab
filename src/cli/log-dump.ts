import { HeadgateError } from '../base/errors.ts';
import { type Dumped, dumpStore, type NamedRun } from '../log/dump.ts';
import { BLOCK_DATA, BLOCK_INDEX, type BlockHeader, bootName } from '../log/format.ts';
import { nodeFiles } from '../os/node-files.ts';
import { CONFIG_OPTION, type Command, DATA_OPTION, textValue, whole } from './command.ts';
import { formatRecord } from './record-text.ts';
import { dataFolderOf } from './settings.ts';
import { openViews, STORES } from './stores.ts';

const CODECS = ['plain', 'deflate', 'zstd'];

type Clocks = Pick<BlockHeader, 'boot' | 'wallMs' | 'runMs'>;

function clocksText({ boot, wallMs, runMs }: Clocks): string {
  return `boot ${bootName(boot)} wall ${new Date(wallMs).toISOString()} run ${runMs}`;
}

function runsText(runs: readonly NamedRun[]): string {
  return runs
    .map(({ name, partition, firstOffset, records }) => {
      return ` ${name}/${partition}@${firstOffset}+${records}`;
    })
    .join('');
}

function kindText({ kind }: BlockHeader): string {
  if (kind === BLOCK_DATA) return 'data';
  return kind === BLOCK_INDEX ? 'index' : 'packed';
}

function blockText(header: BlockHeader, runs: readonly NamedRun[]): string {
  const { number, codec, records, storedBytes, plainBytes, monoMs } = header;
  const ratio = plainBytes === 0 ? '' : ` (${(storedBytes / plainBytes).toFixed(2)})`;
  return [
    `block ${number} ${kindText(header)} ${CODECS[codec] ?? `codec ${codec}`}`,
    `${records} records, ${storedBytes} of ${plainBytes} bytes${ratio}`,
    `mono ${monoMs} ${clocksText(header)}${runsText(runs)}`,
  ].join(', ');
}

function fileText({ name, state, info }: Extract<Dumped, { kind: 'file' }>, store: string): string {
  const start = `${store} ${name}: ${state}`;
  if (info === undefined) return start;
  const size = `${info.sizeBytes} bytes`;
  if (info.headerLost)
    return `${start}, ${size}, HEADER DAMAGED: what it holds is read all the same`;
  const { header } = info;
  const streams = header.streams.map((one) => `${one.name} from ${one.nextOffsets.join(' ')}`);
  return `${start}, ${size}, ${clocksText(header)}, ${streams.join(', ')}`;
}

/** The line of what was met, and those below it. */
function linesOf(met: Dumped, store: string, sequence: number): string[] {
  if (met.kind === 'file') return [fileText(met, store)];
  const at = (page: number) => `  ${sequence}:${page}`;
  switch (met.kind) {
    case 'block': {
      const line = `${at(met.page)} ${blockText(met.header, met.runs)}${met.isVoid ? ' VOID' : ''}`;
      const records = (met.records ?? []).map(
        (record) => `    ${formatRecord({ record, timeMs: record.receivedAtMs }, 'text')}`,
      );
      return [line, ...records];
    }
    case 'corrupt': {
      const held = met.runs === undefined ? ' nobody can tell' : runsText(met.runs);
      return [`${at(met.page)} CORRUPT: ${met.pages} pages, which held${held || ' nothing'}`];
    }
    case 'torn':
      return [`${at(met.page)} TORN: ${met.bytes} bytes of a commit that was cut off`];
    case 'end':
      return [`${at(met.page)} end`];
    case 'moved':
      return [`  ${sequence} MOVED: packed or dropped while it was read; look again`];
  }
}

export const logDump: Command = {
  name: 'log dump',
  usage:
    'headgate log dump [--store telemetry|events] [--segment N] [--records] [--data DIR]\n' +
    '                  [--config FILE]',
  summary: 'the files of the log, block by block, as docs/log-format.md has them',
  options: {
    ...CONFIG_OPTION,
    ...DATA_OPTION,
    store: { type: 'string' },
    segment: { type: 'string' },
    records: { type: 'boolean' },
  },
  positionals: [0, 0],
  async run(values, _, io) {
    const wanted = textValue(values, 'store');
    if (wanted !== undefined && !STORES.some((store) => store === wanted)) {
      throw new HeadgateError('USAGE', `--store is one of ${STORES.join(', ')}`);
    }
    const segmentText = textValue(values, 'segment');
    const segment = segmentText === undefined ? undefined : whole('segment', segmentText);
    const data = await dataFolderOf(values, io.env);
    const there = await openViews(data);
    let isThere = segment === undefined;
    for (const store of STORES) {
      if (!there.has(store) || (wanted !== undefined && wanted !== store)) continue;
      const options = { segment, records: values['records'] === true };
      let sequence = 0;
      for await (const met of dumpStore(nodeFiles, data[store], options)) {
        isThere = true;
        if (met.kind === 'file') sequence = met.info?.sequence ?? 0;
        if (!linesOf(met, store, sequence).every((line) => io.print(line))) return 0;
      }
    }
    if (!isThere) throw new HeadgateError('USAGE', `there is no segment ${segmentText}`);
    return 0;
  },
};
