import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LocalStreams } from '../../../src/log/local-streams.ts';
import { sendEvents } from '../../../src/ops/record-events.ts';
import { RecordFeed } from '../../../src/ops/record-feed.ts';
import { Turns } from '../../../src/os/paced-files.ts';
import { Boot } from '../../support/boots.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { textOf } from '../../support/journals.ts';
import { until } from '../../support/until.ts';

let boot: Boot;
let feed: RecordFeed;

beforeEach(async () => {
  const files = new FakeFiles();
  boot = await Boot.start(files, 1, { mono: 1_000, wall: Date.UTC(2026, 4, 4) });
  const { clock, journal } = boot;
  const journals = new Map([['telemetry', journal]]);
  const streams = new LocalStreams({ files, clock, boot: new Uint8Array(8), journals });
  feed = new RecordFeed({ streams, stream: 'readings', from: [0, 0], partition: undefined });
});

afterEach(async () => {
  await feed.close();
  await boot.stop();
});

it('is told of a commit that came after it looked and before it waits', async () => {
  expect(await feed.next()).toBeUndefined();
  await boot.put(0, 'between');
  await feed.more(new AbortController().signal);
  expect((await feed.next())?.map(textOf)).toEqual(['between']);
});

it('waits no longer than its signal says', async () => {
  const abort = new AbortController();
  const waiting = feed.more(abort.signal);
  abort.abort();
  await waiting;
  await feed.more(abort.signal);
});

it('reads each record once, though its file is packed and used again meanwhile', async () => {
  const files = new FakeFiles();
  const more = { packing: true, compression: 'auto', segmentBytes: 64 * 1024 } as const;
  const own = await Boot.start(files, 2, { mono: 1_000, wall: Date.UTC(2026, 4, 4) }, more);
  const { clock, journal } = own;
  const journals = new Map([['telemetry', journal]]);
  const streams = new LocalStreams({ files, clock, boot: new Uint8Array(8), journals });
  for (let i = 0; i < 20; i++) await own.put(i % 2, `${i}`);
  const options = { streams, stream: 'readings', from: [0, 0], partition: undefined };
  const slow = new RecordFeed(options);
  const seen = ((await slow.next()) ?? []).map(textOf);
  for (let i = 20; i < 90; i++) await own.put(i % 2, `${i}`);
  const packed = () => files.paths().filter((path) => path.endsWith('.packed')).length;
  await until('segments are packed', () => packed() > 2);
  for (let some = await slow.next(); some !== undefined; some = await slow.next()) {
    seen.push(...some.map(textOf));
  }
  expect(seen).toEqual(Array.from({ length: 90 }, (_, i) => `${i}`));
  await slow.close();
  await own.stop();
});

/** A client that takes nothing. */
class StuckAnswer {
  readonly written: string[] = [];
  writeHead() {}
  flushHeaders() {}
  write(text: string) {
    this.written.push(text);
    return false;
  }
}

it('nothing is sent to a client that is waited for, and goes', async () => {
  await boot.put(0, 'one');
  await boot.put(0, 'two');
  const answer = new StuckAnswer();
  const abort = new AbortController();
  const drained = async () => {
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
  };
  const call = { answer: answer as unknown as ServerResponse, signal: abort.signal, drained };
  await sendEvents(feed, { call, turns: new Turns(), show: textOf });
  expect(answer.written).toEqual(['id: 0:0\ndata: one\n\n']);
});
