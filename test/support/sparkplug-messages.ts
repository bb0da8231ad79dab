/** Payloads of Sparkplug B, written by hand so that they owe nothing to the library that reads. */

export interface TestMetric {
  readonly name?: string;
  readonly alias?: number | bigint;
  readonly timestamp?: number;
  readonly datatype?: number;
  readonly isNull?: boolean;
  readonly int?: number | bigint;
  readonly long?: number | bigint;
  readonly float?: number;
  readonly double?: number;
  readonly boolean?: boolean;
  readonly string?: string;
}

export interface TestPayload {
  readonly timestamp?: number;
  readonly metrics?: readonly TestMetric[];
  readonly seq?: number;
  readonly uuid?: string;
  readonly body?: Uint8Array;
}

function varint(value: number | bigint): number[] {
  let left = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  for (; left > 0x7fn; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  return [...bytes, Number(left)];
}

const numbered = (field: number, value: number | bigint | undefined) =>
  value === undefined ? [] : [...varint(field << 3), ...varint(value)];

const sized = (field: number, bytes: ArrayLike<number> | undefined) =>
  bytes === undefined
    ? []
    : [...varint((field << 3) | 2), ...varint(bytes.length), ...Array.from(bytes)];

const text = (field: number, value: string | undefined) =>
  sized(field, value === undefined ? undefined : Buffer.from(value));

const flag = (field: number, value: boolean | undefined) =>
  numbered(field, value === undefined ? undefined : Number(value));

function real(field: number, value: number | undefined, bits: 32 | 64): number[] {
  if (value === undefined) return [];
  const bytes = Buffer.alloc(bits / 8);
  if (bits === 32) bytes.writeFloatLE(value);
  else bytes.writeDoubleLE(value);
  return [...varint((field << 3) | (bits === 32 ? 5 : 1)), ...bytes];
}

function metricBytes(metric: TestMetric): number[] {
  return [
    ...text(1, metric.name),
    ...numbered(2, metric.alias),
    ...numbered(3, metric.timestamp),
    ...numbered(4, metric.datatype),
    ...flag(7, metric.isNull),
    ...numbered(10, metric.int),
    ...numbered(11, metric.long),
    ...real(12, metric.float, 32),
    ...real(13, metric.double, 64),
    ...flag(14, metric.boolean),
    ...text(15, metric.string),
  ];
}

export function sparkplugBytes(payload: TestPayload): Buffer {
  const { timestamp, metrics = [], seq, uuid, body } = payload;
  return Buffer.from([
    ...numbered(1, timestamp),
    ...metrics.flatMap((metric) => sized(2, metricBytes(metric))),
    ...numbered(3, seq),
    ...text(4, uuid),
    ...sized(5, body),
  ]);
}
