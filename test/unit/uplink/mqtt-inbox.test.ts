import { expect, test } from 'vitest';
import { MAX_HELD, MqttInbox } from '../../../src/uplink/mqtt-inbox.ts';
import { settle } from './fakes.ts';

function bench() {
  const acked: number[] = [];
  const readOn: number[] = [];
  const ends: string[] = [];
  const taken: string[] = [];
  const waiting: Array<{ resolve: () => void; reject: (error: Error) => void }> = [];
  const inbox = new MqttInbox({
    acknowledge: (messageId) => acked.push(messageId),
    giveUp: (reason) => ends.push(reason),
  });
  const add = (messageId: number, qos = 1) =>
    inbox.add({ topic: 't', payload: `m${messageId}`, qos, messageId }, () => {
      readOn.push(messageId);
    });
  const listen = () =>
    inbox.listen(({ payload }) => {
      taken.push(Buffer.from(payload).toString());
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    });
  const next = async () => {
    waiting.shift()?.resolve();
    await settle();
  };
  return { inbox, acked, readOn, ends, taken, waiting, add, listen, next };
}

test('acknowledges when it was taken, one after the other, and reads on meanwhile', async () => {
  const { acked, readOn, taken, add, listen, next } = bench();
  add(1);
  add(2);
  expect([readOn, taken]).toEqual([[1, 2], []]);
  listen();
  await settle();
  expect([taken, acked]).toEqual([['m1'], []]);
  await next();
  expect([taken, acked]).toEqual([['m1', 'm2'], [1]]);
  await next();
  add(3);
  await next();
  expect([taken, acked]).toEqual([
    ['m1', 'm2', 'm3'],
    [1, 2, 3],
  ]);
});

test('of QoS 0 and 2 the inbox acknowledges nothing', async () => {
  const { acked, taken, add, listen, next } = bench();
  listen();
  add(1, 0);
  add(2, 2);
  await next();
  await next();
  expect([taken, acked]).toEqual([['m1', 'm2'], []]);
});

test('holds so many, and then reads no further', async () => {
  const { readOn, add, listen, next } = bench();
  for (let i = 1; i <= MAX_HELD + 1; i++) add(i);
  expect(readOn).toHaveLength(MAX_HELD);
  listen();
  for (let i = 0; i < MAX_HELD; i++) await next();
  expect(readOn).toHaveLength(MAX_HELD);
  await next();
  expect(readOn.at(-1)).toBe(MAX_HELD + 1);
});

test('one that is not taken ends the link, and none behind it is taken', async () => {
  const { acked, ends, taken, waiting, add, listen } = bench();
  listen();
  add(1);
  add(2);
  waiting[0]?.reject(new Error('no'));
  await settle();
  add(3);
  await settle();
  expect({ acked, ends, taken }).toEqual({
    acked: [],
    ends: ['a message was not taken: no'],
    taken: ['m1'],
  });
});

test('after the end nothing is acknowledged or taken', async () => {
  const { inbox, acked, ends, taken, add, listen, next } = bench();
  listen();
  add(1);
  add(2);
  inbox.end();
  await next();
  add(3);
  await settle();
  expect({ acked, ends, taken }).toEqual({ acked: [], ends: [], taken: ['m1'] });
});
