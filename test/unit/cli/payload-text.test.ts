import { describe, expect, it } from 'vitest';
import { hexLines, textLines } from '../../../src/cli/payload-text.ts';

describe('a payload for people', () => {
  it('is text where it is text, in lines that a terminal has room for', () => {
    expect(textLines(Buffer.from('{"a":\t"é"}\n{"b":2}'))).toEqual(['{"a":\\t"é"}', '{"b":2}']);
    const lines = textLines(Buffer.from('x'.repeat(250))) ?? [];
    expect(lines.map((line) => line.length)).toEqual([96, 96, 58]);
  });

  it('is no text with bytes that are none, or that speak to the terminal', () => {
    expect(textLines(Buffer.from([0x41, 0xff]))).toBeUndefined();
    expect(textLines(Buffer.from('a\u001b[2Jb'))).toBeUndefined();
    expect(textLines(Buffer.from('a\u0000b'))).toBeUndefined();
  });

  it('is bytes and what of them can be read, sixteen a line', () => {
    const bytes = Buffer.from([0, 1, 0x41, 0x7f, 0xff, ...Buffer.from('twelve bytes')]);
    expect(hexLines(bytes)).toEqual([
      '00000000  00 01 41 7f ff 74 77 65 6c 76 65 20 62 79 74 65  |..A..twelve byte|',
      '00000010  73                                               |s|',
    ]);
  });

  it('is its beginning alone, and says how much more there is', () => {
    const text = textLines(Buffer.from('x'.repeat(5_000))) ?? [];
    expect(text.at(-1)).toBe('… and 904 characters more: --raw gives all of it');
    const bytes = hexLines(new Uint8Array(1_000_000));
    expect(bytes).toHaveLength(33);
    expect(bytes.at(-1)).toBe('… and 999488 bytes more: --raw gives all of it');
  });
});
