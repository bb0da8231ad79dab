import type { Gap, Gaps } from '../base/gap.ts';
import type { HandledOffsets, SpansAhead } from '../base/handled-offsets.ts';
import type { Books, Outcomes } from './books.ts';
import type { Counts } from './counts.ts';
import { isNothing } from './counts.ts';
import { gapSumOf } from './gap-sum.ts';

/** The books at one moment: what `GET /audit` answers. Names are stable: docs/audit.md. */
export interface AuditSnapshot {
  readonly v: 1;
  readonly streams: readonly StreamSnapshot[];
  /** Next offset of the stream `audit`: entries before it are closed at this moment. */
  readonly entriesEnd: number;
  /** Of the running daemon, since its start; absent where there is none. */
  readonly process?: Traffic;
}

/** Counted when messages come in and when they are answered, apart from the books. */
export interface Traffic {
  readonly received: number;
  /** Messages with an outcome. */
  readonly answered: number;
  /** The same by the books. */
  readonly booked: number;
  readonly inFlight: number;
}

export interface OpenBucket extends Counts {
  readonly bucketStart: number;
  readonly bucketMs: number;
}

export interface LostRow {
  readonly partition: number;
  readonly offset: number;
  readonly count: number;
}

export interface StreamSnapshot {
  readonly stream: string;
  readonly log: string;
  /** Messages come in for it; else Headgate fills it by itself. */
  readonly takesMessages: boolean;
  readonly forwarded: boolean;
  readonly bucketMs: number;
  /** What lies before is one bucket. */
  readonly mergedBeforeMs: number;
  /** Per partition, the first offset that the cloud still has to get, and the end of the log. */
  readonly from: readonly number[];
  readonly end: readonly number[];
  /** Between them, what the cloud has all the same; of each partition. */
  readonly ahead: SpansAhead;
  /** Offsets that damage has taken, as far as they are known. */
  readonly lostOffsets: readonly LostRow[];
  /** Sequence numbers that were never seen, the first rows; and of how many devices and numbers. */
  readonly gaps: readonly Gap[];
  readonly gapDevices: number;
  readonly gapNumbers: number;
  readonly buckets: readonly OpenBucket[];
}

export interface SnapshotSources {
  readonly books: Books;
  /** What the cloud has acknowledged; undefined: nothing. */
  readonly ackedOf: (stream: string) => HandledOffsets | undefined;
  readonly endOf: (stream: string) => readonly number[];
  readonly lostOf: (stream: string) => readonly LostRow[];
  readonly gaps?: ReadonlyMap<string, Gaps> | undefined;
  readonly entriesEnd: number;
}

const MAX_GAPS = 1_000;

/** Of one turn of the event loop, hence of one moment. */
export function snapshotOf(sources: SnapshotSources): AuditSnapshot {
  const { books, ackedOf, endOf, lostOf, entriesEnd } = sources;
  const streams = [...books.streams].map((own): StreamSnapshot => {
    const { name, log, takesMessages, forwards, bucketMs, mergedBeforeMs, expiredTo } = own;
    const end = [...endOf(name)];
    const acked = ackedOf(name);
    const from = end.map((_, p) => Math.max(acked?.position(p) ?? 0, expiredTo[p] ?? 0));
    const ahead = acked?.ahead() ?? [];
    const buckets = [...own.buckets.values()]
      .filter(({ counts }) => !isNothing(counts))
      .sort((a, b) => a.startMs - b.startMs)
      .map(({ startMs, endMs, counts }) => {
        return { bucketStart: startMs, bucketMs: endMs - startMs, ...counts };
      });
    const head = { stream: name, log, takesMessages, forwarded: forwards };
    const { rows: gaps, devices, numbers } = gapSumOf(sources.gaps?.get(name), MAX_GAPS);
    const missing = { gaps, gapDevices: devices, gapNumbers: numbers };
    const cut = { bucketMs, mergedBeforeMs };
    return { ...head, ...cut, from, end, ahead, lostOffsets: lostOf(name), ...missing, buckets };
  });
  return { v: 1, streams, entriesEnd };
}

/** What the pipeline counted, beside what is in the books. */
export function trafficOf(received: number, answered: number, outcomes: Outcomes): Traffic {
  const booked = Object.values(outcomes).reduce((sum, one) => sum + one, 0);
  return { received, answered, booked, inFlight: received - answered };
}
