import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { SlowReaders } from '../../../src/ingest/slow-readers.ts';
import { until } from '../../support/until.ts';

/** The socket of a client that reads only when it is told to. */
class Stuck extends Writable {
  why: string | undefined;
  #done: () => void = () => {};

  constructor(bytes: number) {
    super({ highWaterMark: 1_000 });
    this.on('error', () => {});
    this.write(Buffer.alloc(bytes));
  }

  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    this.#done = done;
  }

  override destroy(error?: Error): this {
    this.why ??= error?.message;
    return super.destroy(error);
  }

  /** A socket is closed some time after it is destroyed. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    setImmediate(() => setImmediate(() => done(error)));
  }

  async reads(): Promise<void> {
    this.#done();
    await turn();
  }
}

/** Counts how often somebody asks how much waits for it. */
function looksAt(socket: Writable): () => number {
  const { writableLength } = socket;
  let looks = 0;
  const get = () => {
    looks += 1;
    return writableLength;
  };
  Object.defineProperty(socket, 'writableLength', { get });
  return () => looks;
}

function takes(readers: SlowReaders, socket: Writable): boolean {
  return readers.takes(socket as Socket);
}

test('one for whom too much waits is cut off at once; who has room does not count', async () => {
  const readers = new SlowReaders({ maxClientBytes: 5_000, maxBytes: 5_000 });
  const [roomy, full, over] = [new Stuck(999), new Stuck(5_000), new Stuck(5_001)];
  expect([roomy, full, over].map((one) => takes(readers, one))).toEqual([true, true, false]);
  expect([over.destroyed, takes(readers, over)]).toEqual([true, false]);
  await turn();
  expect(over.why).toContain('too much waits for it');
  expect([roomy.destroyed, full.destroyed]).toEqual([false, false]);
});

test('where too much waits in all, those with most of it go, and no more than must', async () => {
  const readers = new SlowReaders({ maxClientBytes: 1e9, maxBytes: 80_000 });
  const sockets = [30_000, 50_000, 20_000, 40_000].map((bytes) => new Stuck(bytes));
  expect(sockets.map((socket) => takes(readers, socket))).toEqual([true, true, true, true]);
  await turn();
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, true, false, true]);
  expect(sockets[1]?.why).toContain('too much waits in all');
  expect(sockets.map((socket) => takes(readers, socket))).toEqual([true, false, true, false]);
  await turn();
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, true, false, true]);
});

test('the limit holds again in each turn', async () => {
  const readers = new SlowReaders({ maxClientBytes: 1e9, maxBytes: 80_000 });
  const [a, b] = [new Stuck(40_000), new Stuck(30_000)];
  for (const socket of [a, b]) takes(readers, socket);
  await turn();
  expect([a.destroyed, b.destroyed]).toEqual([false, false]);
  b.write(Buffer.alloc(20_000));
  takes(readers, a);
  await turn();
  expect([a.destroyed, b.destroyed]).toEqual([false, true]);
});

test('nobody goes for what waits for one that has gone', async () => {
  const readers = new SlowReaders({ maxClientBytes: 1e9, maxBytes: 80_000 });
  const [gone, other] = [new Stuck(50_000), new Stuck(60_000)];
  for (const socket of [gone, other]) takes(readers, socket);
  gone.destroy();
  await turn();
  expect(other.destroyed).toBe(false);
});

test('one that has read what waited is forgotten, until its socket is full again', async () => {
  const readers = new SlowReaders({ maxClientBytes: 1e9, maxBytes: 80_000 });
  const socket = new Stuck(50_000);
  const listeners = () => socket.listenerCount('drain') + socket.listenerCount('close');
  const before = listeners();
  for (let i = 0; i < 3; i++) takes(readers, socket);
  expect(listeners()).toBe(before + 2);
  await socket.reads();
  expect(listeners()).toBe(before);
  socket.write(Buffer.alloc(50_000));
  takes(readers, socket);
  expect(listeners()).toBe(before + 2);
  const other = new Stuck(40_000);
  takes(readers, other);
  await turn();
  expect([socket.destroyed, other.destroyed]).toEqual([true, false]);
  await until('closed', () => socket.closed);
  expect(listeners()).toBe(before);
});

test('many are looked at once a turn, not at each delivery', async () => {
  const readers = new SlowReaders({ maxClientBytes: 1e9, maxBytes: 1e9 });
  const sockets = Array.from({ length: 100 }, () => new Stuck(2_000));
  const looks = sockets.map(looksAt);
  for (let delivery = 0; delivery < 10; delivery++) {
    for (const socket of sockets) takes(readers, socket);
  }
  await turn();
  // At itself before each delivery, and once at all of them.
  expect(new Set(looks.map((count) => count()))).toEqual(new Set([11]));
});
