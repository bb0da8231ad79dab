import type { Books } from './audit/books.ts';
import type { LogRecord } from './base/reading.ts';
import type { Booking } from './uplink/cut.ts';

/** Records of one partition and one bucket that were sent together. */
interface Row {
  readonly bucket: object;
  readonly times: Pick<LogRecord, 'deviceTimeMs' | 'receivedAtMs'>;
  readonly partition: number;
  readonly offsets: number[];
}

/**
 * Notes in the books of a stream what goes out and what the cloud has, in the turn in which the
 * position moves on: so the two are saved of one moment. undefined: the stream has no books.
 */
export function booking(books: Books, stream: string): Booking | undefined {
  const own = books.of(stream);
  if (own === undefined) return undefined;
  return (records) => {
    const rows: Row[] = [];
    for (const record of records) {
      const { deviceTimeMs, receivedAtMs, partition, offset } = record;
      const bucket = own.bucketAt(deviceTimeMs, receivedAtMs);
      bucket.counts.forwarded += 1;
      const row = rows.find((one) => one.bucket === bucket && one.partition === partition);
      const times = { deviceTimeMs, receivedAtMs };
      if (row === undefined) rows.push({ bucket, times, partition, offsets: [offset] });
      else row.offsets.push(offset);
    }
    return () => {
      for (const { times, partition, offsets } of rows) {
        // Before that retention has dropped it, and it was counted as expired.
        const least = own.expiredTo[partition] ?? 0;
        const count = least === 0 ? offsets.length : offsets.filter((one) => one >= least).length;
        if (count === 0) continue;
        const { deviceTimeMs, receivedAtMs } = times;
        own.bucketAt(deviceTimeMs, receivedAtMs).counts.cloudAcked += count;
      }
    };
  };
}

/** Notes that a record was set aside: the cloud will not have it as what it is. */
export function bookParked(books: Books, record: LogRecord): void {
  const { stream, partition, offset, deviceTimeMs, receivedAtMs } = record;
  const own = books.of(stream);
  if (own === undefined || offset < (own.expiredTo[partition] ?? 0)) return;
  own.bucketAt(deviceTimeMs, receivedAtMs).counts.parked += 1;
}
