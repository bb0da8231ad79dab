/**
 * What a page is, where a block of a segment should begin: docs/log-format.md, *Reading and
 * recovery*, as a table. Pure. Every page is in exactly one row.
 */

/** What can be seen at a page, and after it. */
export interface PageFacts {
  /** Of a block: not there at all (or the end of the file), damaged, or whole by its checksum. */
  readonly header: 'unreadable' | 'none' | 'damaged' | 'whole';
  /** By its checksum; of a header that is not whole nothing is known of the body. */
  readonly body: 'damaged' | 'whole';
  /** The segment that the header names. */
  readonly sequence: 'own' | 'other';
  /** The number that the header bears: that of the block which should be here, or another. */
  readonly number: 'next' | 'other';
  /** Further on in the file is a whole header of this segment. */
  readonly follows: boolean;
}

export type PageVerdict = 'good' | 'torn' | 'corrupt' | 'end';

export interface PageCase {
  readonly name: string;
  /** What is not named may be anything. */
  readonly when: Partial<PageFacts>;
  readonly is: PageVerdict;
}

const WHOLE = { header: 'whole', sequence: 'own' } as const;
const NEXT = { ...WHOLE, number: 'next' } as const;
const CUT = { ...NEXT, body: 'damaged' } as const;
const MISPLACED = { ...WHOLE, number: 'other' } as const;
const BEGUN = { header: 'damaged', sequence: 'own' } as const;
const ELDER = { header: 'whole', sequence: 'other' } as const;
const ELDER_DAMAGED = { header: 'damaged', sequence: 'other' } as const;

export const PAGE_CASES: readonly PageCase[] = [
  { name: 'a block', when: { ...NEXT, body: 'whole' }, is: 'good' },
  { name: 'a commit cut off in its body', when: { ...CUT, follows: false }, is: 'torn' },
  { name: 'a block with a damaged body', when: { ...CUT, follows: true }, is: 'corrupt' },
  { name: 'a commit cut off in its header', when: { ...BEGUN, follows: false }, is: 'torn' },
  { name: 'a block with a damaged header', when: { ...BEGUN, follows: true }, is: 'corrupt' },
  { name: 'a block of another place', when: { ...MISPLACED, follows: false }, is: 'torn' },
  { name: 'a gap before a later block', when: { ...MISPLACED, follows: true }, is: 'corrupt' },
  { name: 'what an earlier life left', when: { ...ELDER, follows: false }, is: 'end' },
  { name: 'a block that never came', when: { ...ELDER, follows: true }, is: 'corrupt' },
  { name: 'a ruin of an earlier life', when: { ...ELDER_DAMAGED, follows: false }, is: 'end' },
  { name: 'a ruin before a block', when: { ...ELDER_DAMAGED, follows: true }, is: 'corrupt' },
  { name: 'nothing', when: { header: 'none', follows: false }, is: 'end' },
  { name: 'a block that is gone', when: { header: 'none', follows: true }, is: 'corrupt' },
  { name: 'a bad page at the end', when: { header: 'unreadable', follows: false }, is: 'torn' },
  { name: 'a bad page', when: { header: 'unreadable', follows: true }, is: 'corrupt' },
];

function meets(facts: PageFacts, when: Partial<PageFacts>): boolean {
  return Object.entries(when).every(([name, value]) => facts[name as keyof PageFacts] === value);
}

/** The rows that the facts are in: always one, which a test proves. */
export function casesOf(facts: PageFacts): readonly PageCase[] {
  return PAGE_CASES.filter(({ when }) => meets(facts, when));
}
