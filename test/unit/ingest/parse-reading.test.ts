import { expect, test } from 'vitest';
import { parseReading } from '../../../src/ingest/parse-reading.ts';
import { heapBytes } from '../../support/heap.ts';
import { autoRules } from '../../support/reading-rules.ts';

const RULES = autoRules(1e6);

function readingOf(text: string) {
  const payload = Buffer.from(text);
  const parsed = parseReading({ device: 'd', topic: 't', payload, monoMs: 5 }, RULES);
  if (!parsed.ok) throw new Error(parsed.code);
  return parsed.reading;
}

test('a small flat reading brings its value along', () => {
  const text = '{"id":"a","value":21.5,"ok":true,"note":null}';
  expect(readingOf(text)).toMatchObject({ device: 'd', value: JSON.parse(text) });
  expect(readingOf('21.5').value).toBe(21.5);
});

test.each([
  ['lists', '[{},{}]'],
  ['fields within fields', '{"value":1,"more":{"a":{}}}'],
  ['many fields', JSON.stringify(Object.fromEntries(Array.from({ length: 33 }, (_, i) => [i, i])))],
  ['long texts', JSON.stringify({ value: 1, text: 'x'.repeat(5_000) })],
])('one with %s is taken without it', (_, text) => {
  const reading = readingOf(text);
  expect(reading.payload).toEqual(Buffer.from(text));
  expect(reading.value).toBe(undefined);
});

test('readings that wait for the flash take the room of their payloads', () => {
  const text = `[${'{},'.repeat(80_000)}{}]`;
  const before = heapBytes();
  // Payloads themselves are outside of the heap.
  const waiting = Array.from({ length: 20 }, () => readingOf(text));
  expect(heapBytes() - before).toBeLessThan(1_000_000);
  expect(waiting).toHaveLength(20);
});
