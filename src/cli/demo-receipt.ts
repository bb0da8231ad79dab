import type { LogRecord } from '../base/reading.ts';
import type { Status } from '../status.ts';
import type { Envelope } from '../uplink/envelope.ts';

/** What each side of the demo saw for itself. */
export interface DemoBooks {
  /** Message ids that sensors had acknowledged, in each device's order. */
  readonly acked: ReadonlyMap<string, readonly string[]>;
  /** Publishes that sensors sent a second time. */
  readonly repeats: number;
  /** What the gateway counted. */
  readonly status: Status;
  /** The stream `readings`, as read from the files. */
  readonly readings: readonly LogRecord[];
  readonly alerts: readonly LogRecord[];
  readonly deadLetters: readonly LogRecord[];
  /** What arrived at the cloud. */
  readonly cloud: readonly Envelope[];
}

export interface Receipt {
  readonly lines: readonly string[];
  /** What does not add up; empty if everything does. */
  readonly faults: readonly string[];
}

function isInOrder(ids: readonly string[], stored: readonly string[]): boolean {
  let at = 0;
  for (const id of stored) if (id === ids[at]) at += 1;
  return at === ids.length;
}

/** Compares what every side saw. Pure. */
export function receiptOf(books: DemoBooks): Receipt {
  const { acked, status, readings, alerts, deadLetters, cloud } = books;
  const faults: string[] = [];
  const expect = (holds: boolean, fault: string) => {
    if (!holds) faults.push(fault);
  };
  const idsOf = (device: string) =>
    readings.flatMap((r) => (r.device === device && r.messageId ? [r.messageId.text] : []));
  const inLog = new Set(readings.map((r) => `${r.device} ${r.messageId?.text ?? ''}`));
  let missing = 0;
  for (const [device, ids] of acked) {
    missing += ids.filter((id) => !inLog.has(`${device} ${id}`)).length;
    expect(isInOrder(ids, idsOf(device)), `${device}: the log has another order than the sensor`);
  }
  const key = (r: { stream: string; partition: number; offset: number }) =>
    `${r.stream}/${r.partition}/${r.offset}`;
  const atCloud = new Set(cloud.map(key));
  const stored = [...readings, ...alerts, ...deadLetters];
  const unforwarded = stored.filter((r) => !atCloud.has(key(r))).length;
  const doubled = readings.length - inLog.size;
  const { received, duplicates, deadLettered, rejected, forwarded } = status;
  expect(missing === 0, `${missing} acknowledged readings are not in the log`);
  expect(unforwarded === 0, `${unforwarded} records did not reach the cloud`);
  expect(doubled === 0, `${doubled} readings are in the log more than once`);
  expect(status.stored === readings.length, 'the gateway counted other readings than the log has');
  const sum = status.stored + duplicates + deadLettered + rejected;
  expect(received === sum, `received ${received} is not stored + duplicate + … = ${sum}`);
  expect(duplicates >= books.repeats, 'fewer duplicates than retransmits');
  expect(atCloud.size === stored.length, 'the cloud has records that the log has not');
  expect(status.alerts > 0, 'the anomaly raised no alert');
  const lost = missing + unforwarded;
  const row = (name: string, count: number, words: string) =>
    `  ${name.padEnd(13)}${String(count).padStart(7)}  ${words}`;
  const lines = [
    row('received', received, 'publishes from sensors, retransmits included'),
    row('duplicate', duplicates, 'retransmits, acknowledged and not stored again'),
    row('dead letters', deadLettered, 'messages that are no reading, kept with their reason'),
    row('stored', status.stored, 'readings on flash, each once, in order'),
    row('alerts', status.alerts, 'begun'),
    row('forwarded', forwarded, `acknowledged by the cloud: ${atCloud.size} records, all streams`),
    row('lost', lost, ''),
  ];
  return { lines, faults };
}
