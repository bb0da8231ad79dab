import { PbfReader } from 'pbf';
import { MAX_PARTS } from './decoder.ts';
import { textOf } from './text.ts';

/**
 * The payload of Sparkplug B (sparkplug_b.proto): protocol buffers, of which the fields that are
 * looked at are read and the others passed over. Pure.
 */

export interface Metric {
  readonly name?: string;
  /** Its digits. */
  readonly alias?: string;
  /** ms since 1970. */
  readonly timestamp?: number;
  readonly datatype?: number;
  /** As sent: whole numbers without a sign, as wide as `bits` says. */
  readonly value?: number | bigint | boolean | string;
  /** Of a whole number whose sign is a matter of its datatype. */
  readonly bits?: 32 | 64;
}

export interface SparkplugPayload {
  /** ms since 1970. */
  readonly timestamp?: number;
  readonly seq?: number;
  readonly uuid?: string;
  readonly metrics: readonly Metric[];
}

type Changing<T> = { -readonly [K in keyof T]: T[K] };

/** Wire types: varint, 64 bits, bytes, 32 bits. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** A payload with more metrics than one may have. */
export class TooManyMetrics extends Error {}

class NotSparkplug extends Error {}

/** The number exactly: a bigint beyond 2^53. */
function readUnsigned(pbf: PbfReader): number | bigint {
  expectType(pbf, VARINT);
  const from = pbf.pos;
  const rounded = pbf.readVarint();
  if (Number.isSafeInteger(rounded)) return rounded;
  let exact = 0n;
  for (let at = pbf.pos - 1; at >= from; at--) {
    exact = (exact << 7n) | BigInt((pbf.buf[at] ?? 0) & 0x7f);
  }
  return BigInt.asUintN(64, exact);
}

/** A number that is exact as one; undefined beyond 2^53, where nothing of its kind is. */
function readNumber(pbf: PbfReader): number | undefined {
  const value = readUnsigned(pbf);
  return typeof value === 'number' ? value : undefined;
}

/** Senders that extend the sign to 64 bits mean the same 32. */
function readUnsigned32(pbf: PbfReader): number {
  return Number(BigInt.asUintN(32, BigInt(readUnsigned(pbf))));
}

function readText(pbf: PbfReader): string {
  expectType(pbf, BYTES);
  const text = textOf(pbf.readBytes());
  if (text === undefined) throw new NotSparkplug();
  return text;
}

function expectType(pbf: PbfReader, type: number): void {
  if (pbf.type !== type) throw new NotSparkplug();
}

/** Calls `read` for each field up to `end`; what it does not read is passed over. */
function readFields(pbf: PbfReader, end: number, read: (field: number) => void): void {
  for (let field = pbf.nextField(end); field !== 0; field = pbf.nextField(end)) read(field);
  // Cut off within a field, or a field that reaches into what follows.
  if (pbf.pos !== end) throw new NotSparkplug();
}

function readValue(pbf: PbfReader, metric: Changing<Metric>, field: number): void {
  // The last one counts, as ever in protocol buffers: what went with another is gone.
  delete metric.bits;
  delete metric.value;
  if (field === 10) {
    metric.value = readUnsigned32(pbf);
    metric.bits = 32;
  } else if (field === 11) {
    metric.value = readUnsigned(pbf);
    metric.bits = 64;
  } else if (field === 12) {
    expectType(pbf, FIXED32);
    metric.value = pbf.readFloat();
  } else if (field === 13) {
    expectType(pbf, FIXED64);
    metric.value = pbf.readDouble();
  } else if (field === 14) metric.value = readUnsigned(pbf) !== 0;
  else if (field === 15) metric.value = readText(pbf);
}

function readMetric(pbf: PbfReader): Metric {
  expectType(pbf, BYTES);
  const end = pbf.readVarint() + pbf.pos;
  const metric: Changing<Metric> = {};
  let isNull = false;
  readFields(pbf, end, (field) => {
    if (field === 1) metric.name = readText(pbf);
    else if (field === 2) metric.alias = String(readUnsigned(pbf));
    else if (field === 3) setNumber(metric, 'timestamp', readNumber(pbf));
    else if (field === 4) metric.datatype = readUnsigned32(pbf);
    else if (field === 7) isNull = readUnsigned(pbf) !== 0;
    else if (field >= 10 && field <= 19) readValue(pbf, metric, field);
  });
  if (isNull) delete metric.value;
  return metric;
}

function setNumber<K extends string>(
  target: { [name in K]?: number },
  name: K,
  value: number | undefined,
): void {
  if (value === undefined) delete target[name];
  else target[name] = value;
}

/** Throws TooManyMetrics, and other errors for bytes that are none of it. */
export function readSparkplug(bytes: Uint8Array): SparkplugPayload {
  const pbf = new PbfReader(bytes);
  const end = bytes.length;
  const metrics: Metric[] = [];
  const payload: Changing<SparkplugPayload> = { metrics };
  readFields(pbf, end, (field) => {
    if (field === 1) setNumber(payload, 'timestamp', readNumber(pbf));
    else if (field === 2) {
      if (metrics.length >= MAX_PARTS) throw new TooManyMetrics();
      metrics.push(readMetric(pbf));
    } else if (field === 3) setNumber(payload, 'seq', readNumber(pbf));
    else if (field === 4) payload.uuid = readText(pbf);
  });
  return payload;
}
