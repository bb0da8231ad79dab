import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { ConnectTurns } from '../../../src/ingest/connect-turns.ts';
import { until } from '../../support/until.ts';
import { connectPacket, RawClient, Restarts } from './broker-fixture.ts';

/** One connection after its CONNECT, as the broker shows it. */
class Caller extends EventEmitter {
  closed = false;
  readonly conn = Object.assign(new EventEmitter(), { destroyed: false });
  turns = 0;

  connects(turns: ConnectTurns, clientId = 'dev'): this {
    turns.take(clientId, this, () => {
      this.turns += 1;
    });
    return this;
  }

  /** The event comes later than the state, as with sockets. */
  destroy(): void {
    this.conn.destroyed = true;
  }

  goes(): void {
    this.closed = true;
    this.destroy();
    this.conn.emit('close');
  }
}

test('one at a time: the next when the one before is connected or gone', () => {
  const turns = new ConnectTurns();
  const [a, b, c] = [0, 1, 2].map(() => new Caller().connects(turns));
  expect([a?.turns, b?.turns, c?.turns]).toEqual([1, 0, 0]);
  a?.emit('connected');
  expect([a?.turns, b?.turns, c?.turns]).toEqual([1, 1, 0]);
  b?.goes();
  a?.goes();
  expect([a?.turns, b?.turns, c?.turns]).toEqual([1, 1, 1]);
  c?.emit('connected');
  expect(new Caller().connects(turns).turns).toBe(1);
});

test('one that goes while it waits is passed over, and locks nobody out', () => {
  const turns = new ConnectTurns();
  const first = new Caller().connects(turns);
  const gone = new Caller().connects(turns);
  const going = new Caller().connects(turns);
  const last = new Caller().connects(turns);
  gone.goes();
  going.destroy();
  expect(last.turns).toBe(0);
  first.emit('connected');
  expect([gone.turns, going.turns, last.turns]).toEqual([0, 0, 1]);
  going.goes();
  last.emit('connected');
  expect(new Caller().connects(turns).turns).toBe(1);
});

test('one that gives up while it waits sends nobody to the broker twice', () => {
  const turns = new ConnectTurns();
  const first = new Caller().connects(turns);
  const second = new Caller().connects(turns);
  new Caller().connects(turns).goes();
  expect([first.turns, second.turns]).toEqual([1, 0]);
});

test('one that is gone when it asks takes no turn', () => {
  const turns = new ConnectTurns();
  const gone = new Caller();
  gone.goes();
  expect(gone.connects(turns).turns).toBe(0);
  expect(new Caller().connects(turns).turns).toBe(1);
});

test('none is left listening, and a queue of those gone ends without a stack of its length', () => {
  const turns = new ConnectTurns();
  const first = new Caller().connects(turns);
  const waiting = Array.from({ length: 20_000 }, () => new Caller().connects(turns));
  for (const one of waiting) one.destroy();
  first.goes();
  for (const one of waiting) one.goes();
  expect(waiting.some(({ conn }) => conn.listenerCount('close') > 0)).toBe(false);
  expect(new Caller().connects(turns).turns).toBe(1);
});

test('a client that gave up while another of its name connected can come back', async () => {
  const { port, level, broker } = await new Restarts().start();
  // The store answers late, so that the first CONNECT takes as long as we like.
  const sessions = level.sessions as unknown as Record<'get', (...args: unknown[]) => unknown>;
  const get = sessions.get.bind(sessions);
  let asked = 0;
  const held: Array<() => void> = [];
  sessions.get = async (...args) => {
    asked += 1;
    await new Promise<void>((resolve) => held.push(resolve));
    return get(...args);
  };
  const first = await RawClient.dial(port);
  first.send(connectPacket('dev', 4));
  await until('the first is at the store', () => asked > 0);
  const second = await RawClient.dial(port);
  // Together with a packet that nobody may send, so that the broker itself ends it.
  second.send(connectPacket('dev', 4), connectPacket('dev', 4));
  second.write(Buffer.from([0x00, 0x00]));
  await second.closed;
  sessions.get = get;
  for (const release of held) release();
  await first.hears('connack');
  first.socket.destroy();
  await until('away', () => broker.connections() === 0);
  await RawClient.connect(port, 'dev');
});
