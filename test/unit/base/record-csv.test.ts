import { expect, it } from 'vitest';
import type { LogRecord } from '../../../src/base/reading.ts';
import { CSV_HEADER, recordCsv } from '../../../src/base/record-csv.ts';

const RECORD: LogRecord = {
  stream: 'readings',
  partition: 3,
  offset: 1042,
  device: 'boiler, "7"',
  topic: 'sensors/boiler/t',
  messageId: { kind: 'id', text: 'a-17' },
  deviceTimeMs: 1_767_225_599_870,
  payload: Buffer.from('{"v":21.5}'),
  monoMs: 1,
  receivedAtMs: 41_250.4,
  boot: '00',
  runMs: 99,
};

/** A reader of RFC 4180, for one line. */
function fieldsOf(line: string): string[] {
  const fields = line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",\r\n]*))/g);
  return [...fields].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '');
}

it('quotes what needs it, and has the corrected time in every row', () => {
  const line = recordCsv(RECORD, 1_767_225_600_000);
  expect(line).toBe(
    'readings,3,1042,"boiler, ""7""",a-17,sensors/boiler/t,41250,1767225600000,1767225599870,,' +
      '"{""v"":21.5}",',
  );
  expect(fieldsOf(line)).toHaveLength(fieldsOf(CSV_HEADER).length);
  const plain = recordCsv({ ...RECORD, messageId: undefined, deviceTimeMs: undefined }, 41_250.4);
  expect(fieldsOf(plain).slice(4, 9)).toEqual(['', 'sensors/boiler/t', '41250', '41250', '']);
});

it.each(['a\nb', 'a\r\nb', '"', ',', 'plain', '', '=1+1', '\u0000'])('%j comes back', (payload) => {
  const line = recordCsv({ ...RECORD, payload: Buffer.from(payload) }, 0);
  expect(fieldsOf(line).at(-2)).toBe(payload);
});

it('bytes that are no text are base64, and say so', () => {
  const line = recordCsv({ ...RECORD, payload: Buffer.from([0xff, 0x00]) }, 0);
  expect(fieldsOf(line).slice(-2)).toEqual(['/wA=', 'base64']);
});
