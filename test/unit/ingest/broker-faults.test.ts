import { EventEmitter, once } from 'node:events';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ClientGuard, type GuardedClient } from '../../../src/ingest/client-guard.ts';
import { ConnectTurns } from '../../../src/ingest/connect-turns.ts';
import { HalfPackets } from '../../../src/ingest/half-packets.ts';
import { OfflineBound } from '../../../src/ingest/offline-bound.ts';
import { OpenMessages } from '../../../src/ingest/open-messages.ts';
import { RetainedBound } from '../../../src/ingest/retained-bound.ts';
import { type Persistence, SessionStore } from '../../../src/ingest/session-store.ts';
import { SlowReaders } from '../../../src/ingest/slow-readers.ts';
import { until } from '../../support/until.ts';
import {
  accepted,
  LineLogger,
  publishPacket,
  RawClient,
  Restarts,
  startBroker,
  subscribePacket,
} from './broker-fixture.ts';

// An exception that nobody catches fails the run, as it would end the daemon.

test('a store that fails costs a client its connection, not the broker its life', async () => {
  const { port, accepting, level, logger } = await new Restarts().start();
  accepting.answer = accepted;
  const client = await RawClient.connect(port, 'c', { clean: false });
  client.send(subscribePacket('home/#'));
  await client.hears('suback');
  const subscriber = await RawClient.connect(port, 'sub');
  await level.close();
  client.send(publishPacket('x', { qos: 2, messageId: 1 }));
  await client.closed;
  expect(client.all('pubrec')).toEqual([]);
  // Retained messages cannot be read.
  subscriber.send(subscribePacket('home/#'));
  await subscriber.hears('suback');
  await until('said so', () => logger.with('the session store met an error').length > 0);
  subscriber.socket.destroy();
  await subscriber.closed;
});

test('an exception over a will costs that will only', async () => {
  const { port, logger } = await startBroker({
    accept: ({ topic }) => {
      if (topic === 's/bad') throw new Error('a defect');
      return false;
    },
  });
  const will = { topic: 's/bad', payload: 'x', qos: 1, retain: false };
  const client = await RawClient.connect(port, 'c', { will });
  client.socket.destroy();
  await until('said so', () => logger.with('could not be handled').length === 1);
  const next = await RawClient.connect(port, 'd');
  next.send(publishPacket('y', { messageId: 2 }));
  await next.hears('puback');
});

test('an exception while packets are parsed and handled is an error of that client', async () => {
  const parser = Object.assign(new EventEmitter(), {
    _list: { length: 0, getBuffers: () => [] },
    parse(bytes: Uint8Array) {
      if (bytes.length > 1) throw new RangeError('out of range');
      parser.emit('packet', { cmd: 'pingreq' });
      return 0;
    },
  });
  const conn = new EventEmitter();
  const client = Object.assign(new EventEmitter(), { subscriptions: {}, _parser: parser, conn });
  const handled: unknown[] = [];
  parser.on('packet', (packet) => handled.push(packet));
  new ClientGuard(client as unknown as GuardedClient, {
    maxSubscriptions: 10,
    maxConnectBytes: 1_000,
    halfPackets: new HalfPackets({ maxBytes: 1_000, withinMs: 1_000 }),
    slowReaders: new SlowReaders({ maxClientBytes: 1, maxBytes: 1 }),
    turns: new ConnectTurns(),
    isOwed: () => false,
    onSilence: () => {},
  });
  client._parser.parse(Buffer.alloc(1));
  expect(handled).toEqual([{ cmd: 'pingreq' }]);
  const failed = once(client, 'error');
  client._parser.parse(Buffer.alloc(2));
  expect(await failed).toMatchObject([{ message: 'out of range' }]);
});

test('failures that aedes does not look at are logged', async () => {
  const logger = new LineLogger();
  const fail = () => Promise.reject(new Error('EIO'));
  const calls = {
    addSubscriptions: fail,
    removeSubscriptions: fail,
    cleanSubscriptions: fail,
    outgoingUpdate: fail,
    putWill: fail,
  };
  const persistence = {
    ...{ ...calls, incomingStorePacket: fail, incomingDelPacket: fail, delWill: fail },
    ...{
      storeRetained: fail,
      outgoingEnqueueCombi: fail,
      outgoingClearMessageId: fail,
      cleanIncoming: fail,
    },
    createRetainedStreamCombi: () => new Readable({ read: () => {} }),
  } as unknown as Persistence;
  const limits = { maxMessages: 1, maxBytes: 1, maxTotalBytes: 1 };
  const bound = new OfflineBound(limits, logger);
  const room = new RetainedBound(1e9, logger);
  const parts = { open: new OpenMessages(), bound, retained: room, isOwn: () => false };
  const store = new SessionStore({ ...parts, level: undefined, logger });
  await store.follow(persistence);
  await persistence.delWill({ id: 'c' });
  await persistence.incomingDelPacket({ id: 'c' }, { messageId: 1 });
  const retained = persistence.createRetainedStreamCombi(['#']) as Readable;
  retained.destroy(new Error('EIO'));
  await turn();
  expect(logger.with('the session store met an error')).toHaveLength(3);
  // What it does look at, it must hear of.
  await expect(persistence.cleanSubscriptions({ id: 'c' })).rejects.toThrow('EIO');
});
