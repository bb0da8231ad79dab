import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { encodeBatch } from '../../src/uplink/batch-envelope.ts';
import { EVERY_CASE, expectedOf, ORIGIN } from '../support/batch-records.ts';

// The Python that docs/envelope.md gives to those who receive, as it stands there.

const DOCS = new URL('../../docs/envelope.md', import.meta.url);

const PROGRAM = `
import sys
def shown(record):
    return {**record, "payload": record["payload"].hex()}
print(json.dumps([shown(record) for record in decode_batch(sys.stdin.buffer.read())]))
`;

test.each([true, false])('a batch is decoded by the Python on the page, compressed: %s', (it) => {
  const decoder = readFileSync(DOCS, 'utf8').split('```python\n')[1]?.split('```')[0] ?? '';
  const document = encodeBatch(EVERY_CASE, ORIGIN, true);
  const input = it ? deflateSync(document) : document;
  const args = ['-c', decoder + PROGRAM];
  const { stdout, stderr, error } = spawnSync('python3', args, { input, encoding: 'utf8' });
  expect(error).toBeUndefined();
  expect(stderr).toBe('');
  const expected = EVERY_CASE.map((record) => {
    const { encoding: _, ...rest } = expectedOf(record, true);
    const payload = Buffer.from(record.payload).toString('hex');
    return { id: null, deviceTime: null, reason: null, ...rest, payload };
  });
  expect(JSON.parse(stdout)).toEqual(expected);
});
