import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BlockScanner } from '../../../src/log/block-scanner.ts';
import { PAGE_BYTES } from '../../../src/log/bytes.ts';
import { BLOCK_DATA, encodeBlock, plainBody } from '../../../src/log/format.ts';
import {
  casesOf,
  PAGE_CASES,
  type PageCase,
  type PageFacts,
  type PageVerdict,
} from '../../../src/log/page-case.ts';
import { FakeFiles } from '../../support/fake-files.ts';

// Recovery as a table: every page that can be met is in exactly one row, and the scanner says of
// bytes with those facts what the row says.

const ALL: PageFacts[] = [];
for (const header of ['unreadable', 'none', 'damaged', 'whole'] as const)
  for (const body of ['damaged', 'whole'] as const)
    for (const sequence of ['own', 'other'] as const)
      for (const number of ['next', 'other'] as const)
        for (const follows of [false, true]) ALL.push({ header, body, sequence, number, follows });

it('every page meets exactly one case, and every case is met by some page', () => {
  const met = new Set<PageCase>();
  for (const facts of ALL) {
    const cases = casesOf(facts);
    expect(cases, JSON.stringify(facts)).toHaveLength(1);
    for (const one of cases) met.add(one);
  }
  expect(met.size).toBe(PAGE_CASES.length);
  expect(new Set(PAGE_CASES.map(({ name }) => name)).size).toBe(PAGE_CASES.length);
});

it('the specification has the same table', () => {
  const spec = readFileSync(new URL('../../../docs/log-format.md', import.meta.url), 'utf8');
  const rows = spec.split('\n').filter((line) => /\| (good|torn|corrupt|end) \|$/.test(line));
  const cells = (line: string) =>
    line
      .split('|')
      .map((cell) => cell.trim())
      .slice(1, -1);
  const follows = { yes: true, no: false } as const;
  const told = rows.map(cells).map(([name, header, sequence, number, body, later, is]) => {
    const named = Object.entries({ header, sequence, number, body }).filter(([, value]) => value);
    const when = Object.fromEntries(named);
    const then = later === 'yes' || later === 'no' ? { follows: follows[later] } : {};
    return { name, when: { ...when, ...then }, is };
  });
  expect(told).toEqual(PAGE_CASES.map(({ name, when, is }) => ({ name, when: { ...when }, is })));
});

const SALT = new Uint8Array(8).fill(5);
const OWN = 7;
const NUMBER = 3;

function block(sequence: number, number: number): Uint8Array {
  const moment = { boot: new Uint8Array(8), monoMs: 1, wallMs: 2, runMs: 3 };
  const body = plainBody(new Uint8Array(100).fill(9));
  const parts = {
    kind: BLOCK_DATA,
    sequence,
    number,
    records: 0,
    moment,
    runs: [],
    before: [],
    body,
  };
  return encodeBlock(parts, SALT);
}

/** A page with these facts. */
function pageOf({ header, body, sequence, number }: PageFacts): Uint8Array {
  if (header === 'none') return new Uint8Array(PAGE_BYTES);
  const numbers = { next: NUMBER, other: NUMBER + 5 };
  const bytes = block(sequence === 'own' ? OWN : OWN - 2, numbers[number]);
  if (header === 'damaged') bytes[40] = (bytes[40] ?? 0) ^ 1;
  if (body === 'damaged') bytes[120] = (bytes[120] ?? 0) ^ 1;
  return bytes;
}

async function scan(facts: PageFacts): Promise<PageVerdict> {
  const files = new FakeFiles();
  const handle = await files.open('/f', 'write');
  await handle.write(pageOf(facts), 0);
  await handle.write(block(facts.follows ? OWN : OWN - 2, NUMBER + 6), PAGE_BYTES);
  if (facts.header === 'unreadable') files.unreadable = (_, at) => at < PAGE_BYTES;
  const at = { handle, salt: SALT, sequence: OWN, page: 0, number: NUMBER };
  const scanner = new BlockScanner(at);
  const { kind } = await scanner.next();
  // Asked again it must not change its mind.
  if (kind === 'end' || kind === 'torn') expect((await scanner.next()).kind).toBe(kind);
  return kind;
}

describe.each(PAGE_CASES)('$name', ({ when, is }) => {
  const own = ALL.filter((facts) => casesOf(facts)[0]?.when === when);

  it(`is ${is}`, async () => {
    for (const facts of own) expect(await scan(facts), JSON.stringify(facts)).toBe(is);
  });
});
