import { describe, expect, test } from 'vitest';
import { Bridge } from '../../../firmware-bridge/serial/bridge.ts';
import { JsonSession } from '../../../firmware-bridge/serial/json-session.ts';
import { newLineCounts } from '../../../firmware-bridge/serial/line-counts.ts';
import type { SerialPort } from '../../../firmware-bridge/serial/serial-port.ts';
import { HeadgateError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { heapBytes } from '../../support/heap.ts';
import { until } from '../../support/until.ts';

/** A port whose other end is the test. */
class FakePort implements SerialPort {
  isHere = true;
  isClosed = false;
  /** Writes wait until it is set. */
  takesWrites = true;
  readonly written: string[] = [];
  reads = 0;
  #brought: string[] = [];
  #wake: (() => void) | undefined;

  bring(...lines: string[]): void {
    this.#brought.push(...lines);
    this.#wake?.();
  }

  async read(): Promise<Uint8Array> {
    this.reads += 1;
    while (true) {
      if (this.isClosed) throw new Error('the port was closed');
      const next = this.#brought.shift();
      if (next === 'hang up') throw new Error('the line was hung up');
      if (next !== undefined) return Buffer.from(`${next}\n`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    while (!this.takesWrites && !this.isClosed) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (this.isClosed) throw new Error('the port was closed');
    this.written.push(...Buffer.from(bytes).toString().trimEnd().split('\n'));
  }

  async isThere(): Promise<boolean> {
    return this.isHere;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.#wake?.();
  }
}

/** A bridge over ports that the test lays out; waits end at once, and the clock knows of them. */
function stage({ window = 4, ports = [new FakePort()] as Array<FakePort | HeadgateError> } = {}) {
  const clock = new FakeClock();
  const counts = newLineCounts();
  const stop = new AbortController();
  const said: string[] = [];
  const waits: number[] = [];
  const asked: Array<{ payload: string; stored(): void }> = [];
  const say = (fields: Readonly<Record<string, unknown>>, message: string) => {
    said.push([fields['code'], message].filter((part) => part !== undefined).join(' '));
  };
  const logger: Logger = { debug: say, info: say, warn: say, error: say };
  let next = 0;
  const bridge = new Bridge({
    ...{ path: '/dev/ttyS9', window, clock, random: () => 0.5, logger, counts },
    open: async () => {
      const port = ports[next];
      next = Math.min(next + 1, ports.length - 1);
      if (port instanceof HeadgateError) throw port;
      if (port === undefined || port.isClosed) {
        throw new HeadgateError('SERIAL_PORT_MISSING', '/dev/ttyS9');
      }
      return port;
    },
    newSession: (send) =>
      new JsonSession({
        ...send,
        device: 'd',
        prefix: 'sensors',
        maxFrameBytes: 99,
        clock,
        counts,
      }),
    deliver: (_, payload) =>
      new Promise((resolve) => {
        const text = Buffer.from(payload).toString();
        asked.push({ payload: text, stored: () => resolve('stored') });
      }),
    wait: async (ms) => {
      waits.push(ms);
      clock.advance(ms);
      await new Promise((resolve) => setImmediate(resolve));
    },
  });
  const ended = bridge.run(stop.signal);
  return { bridge, counts, stop, said, waits, asked, ended, ports: ports as FakePort[] };
}

const line = (id: number) => JSON.stringify({ id });

describe('a bridge', () => {
  test('reads no more than the window holds, and goes on when the gateway answers', async () => {
    const { asked, stop, ended, ports } = stage({ window: 2 });
    const [port = new FakePort()] = ports;
    for (let id = 0; id < 10; id++) port.bring(line(id));
    await until('two are asked for', () => asked.length === 2);
    const { reads } = port;
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect([asked.length, port.reads, port.written]).toEqual([2, reads, []]);
    for (let at = 0; at < 10; at++) {
      await until(`reading ${at} is asked for`, () => asked.length > at);
      asked[at]?.stored();
    }
    await until('all are acknowledged', () => port.written.length === 10);
    expect(port.written).toEqual(Array.from({ length: 10 }, (_, id) => `{"ack":${id}}`));
    stop.abort();
    await ended;
    expect(port.isClosed).toBe(true);
  });

  test('one chunk of many lines is not more than the window either', async () => {
    const { asked, bridge, stop, ended, ports } = stage({ window: 3 });
    ports[0]?.bring(Array.from({ length: 50 }, (_, id) => line(id)).join('\n'));
    await until('three are asked for', () => asked.length === 3);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect([asked.length, bridge.onTheWay]).toEqual([3, 3]);
    stop.abort();
    await ended;
  });

  test('opens the port again when it is back, and answers nobody for what was before', async () => {
    const first = new FakePort();
    const second = new FakePort();
    const missing = new HeadgateError('SERIAL_PORT_MISSING', '/dev/ttyS9');
    const { asked, stop, ended, said, counts } = stage({
      ports: [missing, missing, first, missing, missing, missing, second],
    });
    first.bring(line(1));
    await until('it is asked for', () => asked.length === 1);
    first.bring('hang up');
    await until('it is open again', () => counts.opened === 2);
    asked[0]?.stored();
    second.bring(line(1));
    await until('it is asked for again', () => asked.length === 2);
    expect([first.written, second.written]).toEqual([[], []]);
    asked[1]?.stored();
    await until('it is acknowledged', () => second.written.length === 1);
    expect(first.isClosed).toBe(true);
    stop.abort();
    await ended;
    // What lasts is said once.
    expect(said).toEqual([
      'SERIAL_PORT_MISSING the port cannot be opened; trying on',
      'the port is open',
      'the port is gone; it is opened again when it is back',
      'SERIAL_PORT_MISSING the port cannot be opened; trying on',
      'the port is open',
    ]);
  });

  test('sees that a port is gone while it is not read, the gateway being away', async () => {
    const first = new FakePort();
    const { asked, stop, ended, counts, waits } = stage({
      window: 1,
      ports: [first, new FakePort()],
    });
    first.bring(line(1), line(2));
    await until('the window is full', () => asked.length === 1);
    first.isHere = false;
    await until('the next one is open', () => counts.opened === 2);
    expect(first.isClosed).toBe(true);
    expect(waits).toContain(1_000);
    stop.abort();
    await ended;
  });

  test('waits longer and longer for a port that does not stay', async () => {
    const { stop, ended, waits } = stage({
      ports: [new HeadgateError('SERIAL_PORT_DENIED', '/dev/ttyS9')],
    });
    await until('it was tried often', () => waits.length > 12);
    stop.abort();
    await ended;
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(250);
    expect(Math.max(...waits)).toBe(5_000);
  });

  test('drops answers that a device does not read, and holds only so many', async () => {
    const { asked, counts, ended, ports, stop } = stage({ window: 10_000 });
    const [port = new FakePort()] = ports;
    port.takesWrites = false;
    for (let id = 0; id < 8_000; id++) port.bring(line(id));
    await until('all are asked for', () => asked.length === 8_000);
    for (const { stored } of asked) stored();
    await until('all are answered', () => counts.acked === 8_000);
    expect(counts.answersDropped).toBeGreaterThan(1_000);
    port.takesWrites = true;
    await until('the rest is out', () => port.written.length + counts.answersDropped === 8_000);
    stop.abort();
    await ended;
  });

  test('holds nothing of what it has read, however long the port is open', async () => {
    const { stop, ended, counts, ports } = stage();
    const noise = Array.from({ length: 5_000 }, () => 'x');
    // The first round compiles and warms up.
    let before = 0;
    for (let round = 1; round <= 5; round++) {
      ports[0]?.bring(...noise);
      await until('it is read', () => counts.damaged === round * noise.length);
      if (round === 1) before = heapBytes();
    }
    expect(heapBytes() - before).toBeLessThan(2_000_000);
    stop.abort();
    await ended;
  });

  test('at its end waits for what is on its way, and its answers, but not for ever', async () => {
    const { asked, stop, ended, ports } = stage();
    ports[0]?.bring(line(1));
    await until('it is asked for', () => asked.length === 1);
    stop.abort();
    asked[0]?.stored();
    await ended;
    expect(ports[0]?.written).toEqual(['{"ack":1}']);

    const other = stage();
    other.ports[0]?.bring(line(1));
    await until('it is asked for', () => other.asked.length === 1);
    other.stop.abort();
    await other.ended;
    expect(other.waits).toContain(2_000);
    expect(other.ports[0]?.written).toEqual([]);
  });
});
