import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc16 } from '../../../firmware-bridge/serial/crc16.ts';
import { LineFramer } from '../../../firmware-bridge/serial/line-framer.ts';
import { answerLine, readLine } from '../../../firmware-bridge/serial/reading-line.ts';

const bytes = (text: string) => Buffer.from(text);

function linesOf(text: Uint8Array, cut: number, max = 64): string[] {
  const framer = new LineFramer(max);
  const events = [
    ...framer.take(text.subarray(0, cut)),
    ...framer.take(text.subarray(cut)),
    ...framer.take(bytes('\n')),
  ];
  return events.map((event) =>
    event.kind === 'line' ? Buffer.from(event.line).toString('latin1') : `${event.bytes} bytes`,
  );
}

describe('lines', () => {
  test('end with LF or CR and LF, and empty ones are nothing', () => {
    const text = bytes('{"a":1}\r\n\n\r\nx\ny');
    for (let cut = 0; cut <= text.length; cut++) {
      expect(linesOf(text, cut)).toEqual(['{"a":1}', 'x', 'y']);
    }
  });

  test('are as long as they may be, and a CR more', () => {
    expect(linesOf(bytes('x'.repeat(64)), 3)).toEqual(['x'.repeat(64)]);
    expect(linesOf(bytes(`${'x'.repeat(64)}\r`), 3)).toEqual(['x'.repeat(64)]);
    expect(linesOf(bytes('x'.repeat(65)), 3)).toEqual(['65 bytes']);
    expect(linesOf(bytes(`${'x'.repeat(9_000)}\nok`), 7_000)).toEqual(['9000 bytes', 'ok']);
  });

  test('of any bytes throw nothing, and the line after the next LF is found', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (noise, cut) => {
        const lines = linesOf(Buffer.concat([noise, bytes('\nok')]), cut);
        expect(lines.at(-1)).toBe('ok');
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(64);
      }),
    );
  });
});

const checked = (text: string, crc = crc16(bytes(text))) =>
  readLine(bytes(`${text}*${crc.toString(16).padStart(4, '0')}`));

describe('a line as a reading', () => {
  test.each([
    ['{"id":"7-42"}', '7-42'],
    ['{"id":7}', 7],
    ['{"messageId":"m","seq":1,"boot":2}', 'm'],
    ['{"boot":7,"seq":42}', [7, 42]],
    ['{"boot":"b","seq":"9"}', ['b', '9']],
    ['{"seq":3}', 3],
    ['{"id":{"a":1}}', undefined],
    // Rounded, it would be the id of another one.
    ['{"id":9007199254740993}', undefined],
    ['{"value":1}', undefined],
  ])('%s is named %j', (text, id) => {
    expect(readLine(bytes(text))).toMatchObject({ id, isChecked: false });
  });

  test.each(['', '7', '[1]', '"x"', 'null', '{"a":', 'ets Jul 29 2019', '{"a":1}{"b":2}'])(
    '%j is noise',
    (text) => {
      expect(readLine(bytes(text))).toBeUndefined();
    },
  );

  test('bytes that are no UTF-8 are noise', () => {
    expect(readLine(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toBeUndefined();
  });

  test('a checksum is checked, and is no part of the payload', () => {
    const text = '{"topic":"temperature","id":"7-42","value":21.5}';
    expect(crc16(bytes(text)).toString(16)).toBe('1271');
    const reading = checked(text);
    expect(reading).toMatchObject({ topic: 'temperature', id: '7-42', isChecked: true });
    expect(Buffer.from(reading?.payload ?? []).toString()).toBe(text);
    expect(checked(text, 0x1270)).toBeUndefined();
    expect(checked(text.replace('21.5', '2.5'), 0x1271)).toBeUndefined();
  });

  test('any bytes throw nothing', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (line) => void readLine(line)));
    fc.assert(fc.property(fc.json(), (line) => void readLine(bytes(line))));
  });

  test('answers are lines, with a checksum where the line had one', () => {
    expect(Buffer.from(answerLine({ ack: [7, 42] }, false)).toString()).toBe('{"ack":[7,42]}\n');
    const nak = Buffer.from(answerLine({ nak: 'a', error: 'topic' }, true)).toString();
    const [text = '', crc = ''] = nak.trimEnd().split('*');
    expect(text).toBe('{"nak":"a","error":"topic"}');
    expect(crc).toMatch(/^[0-9A-F]{4}$/);
    expect(Number.parseInt(crc, 16)).toBe(crc16(bytes(text)));
  });
});
