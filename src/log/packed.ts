import { ByteReader, writeVarint } from './bytes.ts';
import type { BlockHeader, Run } from './format.ts';

/** Data blocks gathered in the body of a packed one: docs/log-format.md, *Packed*. Pure. */

/** A data block: what its header says, and its records as they were written. */
export interface PlainBlock {
  readonly header: BlockHeader;
  /** Unpacked. */
  readonly body: Uint8Array;
}

/** Of one run: flags and numbers of a head are at most so long. */
const MAX_HEAD_BYTES = 1 + 8 + 6 * 8;
const MAX_RUN_BYTES = 4 * 8;

function zigzag(n: number): number {
  return n >= 0 ? 2 * n : -2 * n - 1;
}

function unzigzag(n: number): number {
  return n % 2 === 0 ? n / 2 : -(n + 1) / 2;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Clocks as they are kept: the monotonic one in µs, the others by their distance from it. */
interface Clocks {
  monoUs: number;
  wallLead: number;
  runLead: number;
}

function clocksOf({ monoMs, wallMs, runMs }: BlockHeader): Clocks {
  const monoUs = Math.round(monoMs * 1000);
  const whole = Math.floor(monoUs / 1000);
  return { monoUs, wallLead: wallMs - whole, runLead: runMs - whole };
}

function keyOf({ stream, partition }: Pick<Run, 'stream' | 'partition'>): string {
  return `${stream}/${partition}`;
}

/** Next offset of each partition, by what has been seen. */
class NextOffsets {
  readonly #next = new Map<string, number>();

  constructor(runs: readonly Run[]) {
    for (const run of runs) this.#next.set(keyOf(run), run.firstOffset);
  }

  of(place: Pick<Run, 'stream' | 'partition'>): number {
    return this.#next.get(keyOf(place)) ?? 0;
  }

  pass(run: Run): void {
    this.#next.set(keyOf(run), run.firstOffset + run.records);
  }
}

/** The runs of blocks together: of each partition one, without a gap. */
export class JoinedRuns {
  readonly #joined = new Map<string, Run>();

  /** False: a block does not go on where those before it end. */
  fits(runs: readonly Run[]): boolean {
    return runs.every((run) => {
      const before = this.#joined.get(keyOf(run));
      return before === undefined || before.firstOffset + before.records === run.firstOffset;
    });
  }

  add(runs: readonly Run[]): void {
    for (const run of runs) {
      const before = this.#joined.get(keyOf(run));
      const records = (before?.records ?? 0) + run.records;
      const firstOffset = before?.firstOffset ?? run.firstOffset;
      this.#joined.set(keyOf(run), { ...run, firstOffset, records });
    }
  }

  get runs(): Run[] {
    return [...this.#joined.values()];
  }
}

/** The body of a packed block. `runs` and `boot` are those of its header. */
export function encodePacked(
  blocks: readonly PlainBlock[],
  runs: readonly Run[],
  boot: Uint8Array,
): Uint8Array {
  const bound = blocks.reduce(
    (sum, { header, body }) =>
      sum + MAX_HEAD_BYTES + MAX_RUN_BYTES * header.runs.length + body.length,
    8,
  );
  const bytes = new Uint8Array(bound);
  const next = new NextOffsets(runs);
  let before: Clocks = { monoUs: 0, wallLead: 0, runLead: 0 };
  let lastBoot = boot;
  let at = writeVarint(bytes, 0, blocks.length);
  for (const { header, body } of blocks) {
    const clocks = clocksOf(header);
    const isSame = sameBytes(header.boot, lastBoot);
    bytes[at++] = isSame ? 0 : 1;
    if (!isSame) {
      bytes.set(header.boot, at);
      at += header.boot.length;
      lastBoot = header.boot;
    }
    at = writeVarint(bytes, at, body.length);
    at = writeVarint(bytes, at, zigzag(clocks.monoUs - before.monoUs));
    at = writeVarint(bytes, at, zigzag(clocks.wallLead - before.wallLead));
    at = writeVarint(bytes, at, zigzag(clocks.runLead - before.runLead));
    at = writeVarint(bytes, at, header.runs.length);
    for (const run of header.runs) {
      at = writeVarint(bytes, at, run.stream);
      at = writeVarint(bytes, at, run.partition);
      at = writeVarint(bytes, at, run.records);
      at = writeVarint(bytes, at, zigzag(run.firstOffset - next.of(run)));
      next.pass(run);
    }
    before = clocks;
  }
  for (const { body } of blocks) {
    bytes.set(body, at);
    at += body.length;
  }
  return bytes.subarray(0, at);
}

interface Head {
  readonly header: BlockHeader;
  readonly bodyBytes: number;
}

function readRuns(reader: ByteReader, next: NextOffsets): Run[] {
  const runs: Run[] = [];
  for (let count = reader.varint(); count > 0; count--) {
    const place = { stream: reader.varint(), partition: reader.varint() };
    const records = reader.varint();
    const run = { ...place, records, firstOffset: next.of(place) + unzigzag(reader.varint()) };
    next.pass(run);
    runs.push(run);
  }
  return runs;
}

/**
 * The data blocks in a packed one, in their order; `body` is unpacked. Throws RangeError if the
 * body is not what its header says, which a checked body never is.
 */
export function decodePacked(packed: BlockHeader, body: Uint8Array): PlainBlock[] {
  const reader = new ByteReader(body);
  const next = new NextOffsets(packed.runs);
  const heads: Head[] = [];
  let { boot } = packed;
  const clocks: Clocks = { monoUs: 0, wallLead: 0, runLead: 0 };
  for (let count = reader.varint(); count > 0; count--) {
    if (reader.u8() === 1) boot = reader.bytes(boot.length);
    const bodyBytes = reader.varint();
    clocks.monoUs += unzigzag(reader.varint());
    clocks.wallLead += unzigzag(reader.varint());
    clocks.runLead += unzigzag(reader.varint());
    const runs = readRuns(reader, next);
    const whole = Math.floor(clocks.monoUs / 1000);
    const header = {
      ...packed,
      boot,
      monoMs: clocks.monoUs / 1000,
      wallMs: whole + clocks.wallLead,
      runMs: whole + clocks.runLead,
      records: runs.reduce((sum, { records }) => sum + records, 0),
      runs,
    };
    heads.push({ header, bodyBytes });
  }
  return heads.map(({ header, bodyBytes }) => ({ header, body: reader.bytes(bodyBytes) }));
}
