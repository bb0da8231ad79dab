import { describe, expect, it } from 'vitest';
import {
  labelledSeries,
  parseProfiles,
  parseRows,
  parseWindows,
  secondsOf,
} from '../../../src/detect-score/corpus-text.ts';
import { NAB_PROFILES } from '../../../src/detect-score/nab.ts';

const NAME = 'real/a.csv';
const TEXT = 'timestamp,value\n2014-04-01 00:00:00,1\n2014-04-01 00:05:00,-2.5\n';
const invalid = expect.objectContaining({ code: 'CORPUS_INVALID' });

describe('rows', () => {
  it('have a time in UTC and a value, wherever the columns stand', () => {
    const { seconds, values, stamps } = parseRows(NAME, TEXT);
    expect([...seconds]).toEqual([1_396_310_400, 1_396_310_700]);
    expect([...values]).toEqual([1, -2.5]);
    expect(stamps).toEqual(['2014-04-01 00:00:00', '2014-04-01 00:05:00']);
    const turned = parseRows(NAME, 'value,timestamp\r\n7e3,2014-04-01T00:00:00\r\n');
    expect([turned.values[0], turned.seconds[0]]).toEqual([7_000, 1_396_310_400]);
  });

  it('may have labels, and their value last', () => {
    const text = "timestamp,id,has_fault_type,t\n'2014-04-01T00:00:00','m',4,28.38\n";
    const { labels, values, seconds } = parseRows(NAME, text, {
      value: 'last',
      label: 'has_fault_type',
    });
    expect([labels[0], values[0], seconds[0]]).toEqual([4, 28.38, 1_396_310_400]);
  });

  it.each([
    ['', 'no columns'],
    ['time,value\n', 'no columns'],
    [`${TEXT}2014-04-01 00:10:00,\n`, 'line 4'],
    [`${TEXT}2014-04-01 00:10:00,NaN\n`, 'line 4'],
    [`${TEXT}1396310400,1\n`, 'line 4'],
    [`${TEXT}2014-04-01 00:10:00\n`, 'line 4'],
  ])('%j says what is wrong: %s', (text, says) => {
    expect(() => parseRows(NAME, text)).toThrow(invalid);
    expect(() => parseRows(NAME, text)).toThrow(says);
  });

  it('know what is no time', () => {
    expect(secondsOf('2014-04-01 00:00:00.000000')).toBe(1_396_310_400);
    for (const stamp of ['', '2014-04-01', '2014-13-01 00:00:00', 'now']) {
      expect(secondsOf(stamp), stamp).toBeNaN();
    }
  });
});

describe('windows', () => {
  const stamps = ['00', '05', '10', '15', '20', '25'].map((m) => `2014-04-01 00:${m}:00,1`);
  const rows = parseRows(NAME, `timestamp,value\n${stamps.join('\n')}\n`);
  const at = (minute: string) => `2014-04-01 00:${minute}:00.000000`;

  it('are rows by their times, in order', () => {
    const { windows } = labelledSeries(NAME, rows, [
      [at('20'), at('25')],
      [at('05'), at('15')],
    ]);
    expect(windows).toEqual([
      { from: 1, to: 3 },
      { from: 4, to: 5 },
    ]);
  });

  it.each([
    ['no row has its time', [[at('07'), at('15')]]],
    ['it ends before it begins', [[at('15'), at('05')]]],
    [
      'they overlap',
      [
        [at('05'), at('15')],
        [at('15'), at('20')],
      ],
    ],
  ] as const)('are refused: %s', (_, windows) => {
    expect(() => labelledSeries(NAME, rows, windows)).toThrow(invalid);
  });

  it.each([
    '[]',
    '{',
    '{"a/b.csv": [["x"]]}',
    '{"a/b.csv": 1}',
    '{"../../x.csv": []}',
    '{"x.csv":[]}',
  ])('in a file that holds %s are refused', (text) => {
    expect(() => parseWindows('w.json', text)).toThrow(invalid);
  });

  it('are read by file', () => {
    const text = '{"real/a.csv": [["x","y"]], "real/b.csv": []}';
    expect([...parseWindows('w.json', text)]).toEqual([
      ['real/a.csv', [['x', 'y']]],
      ['real/b.csv', []],
    ]);
  });
});

describe('profiles', () => {
  it('are read as they are published', () => {
    const text = JSON.stringify(
      Object.fromEntries(
        Object.entries(NAB_PROFILES).map(([name, { tp, fn, fp }]) => [
          name,
          { CostMatrix: { tpWeight: tp, fnWeight: fn, fpWeight: fp, tnWeight: 1 } },
        ]),
      ),
    );
    expect(parseProfiles('p.json', text)).toEqual(NAB_PROFILES);
  });

  it.each(['{"a":{}}', '{"a":{"CostMatrix":{"tpWeight":1,"fnWeight":1}}}', '3'])(
    '%s is none',
    (t) => {
      expect(() => parseProfiles('p.json', t)).toThrow(invalid);
    },
  );
});
