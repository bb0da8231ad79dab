import { beforeEach, expect, test } from 'vitest';
import { Backoff } from '../../src/base/backoff.ts';
import { newCounters } from '../../src/base/counters.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { Downlink } from '../../src/downlink.ts';
import type { CloudCommand, CloudLink, RefusedFilter } from '../../src/uplink/cloud-link.ts';
import { DownlinkRoutes, type LocalMessage } from '../../src/uplink/downlink-routes.ts';
import { until } from '../support/until.ts';
import { settle } from './uplink/fakes.ts';

/** A link on which the test sends. */
function fakeLink(refused: readonly RefusedFilter[] = []) {
  let end: (reason: string) => void = () => {};
  let onCommand: (command: CloudCommand) => Promise<void> = () => Promise.reject();
  const filters: string[] = [];
  const link: CloudLink = {
    receiveMaximum: undefined,
    maximumSizeBytes: undefined,
    sizeOf: () => 0,
    publish: () => Promise.resolve(),
    listen: (asked, take) => {
      filters.push(...asked);
      onCommand = take;
      return Promise.resolve(refused);
    },
    ended: new Promise((resolve) => {
      end = resolve;
    }),
    close: () => Promise.resolve(),
  };
  const send = (topic: string, payload = 'x') =>
    onCommand({ topic, payload: Buffer.from(payload) });
  return { link, filters, send, end: (reason: string) => end(reason) };
}

const warned: Array<[message: string, fields: unknown]> = [];
const logger = {
  ...silentLogger,
  warn: (fields: unknown, message: string) => void warned.push([message, fields]),
};

beforeEach(() => {
  warned.length = 0;
});

function bench(
  publish: (message: LocalMessage) => Promise<void>,
  keep: () => Promise<void> = () => Promise.resolve(),
) {
  const counters = newCounters();
  const routes = new DownlinkRoutes({
    routes: { down: { from: 'down/{gateway}/#', to: 'commands/#', retain: false } },
    allow: ['commands/valves/#'],
    gateway: 'gw',
    maxPayloadBytes: 10,
    maxTopicLevels: 8,
    isStreamTopic: () => false,
  });
  const backoff = new Backoff({ baseMs: 1, maxMs: 1, random: () => 0 });
  return { counters, downlink: new Downlink({ routes, publish, keep, backoff, counters, logger }) };
}

test('publishes here, and only then says that it was taken', async () => {
  const published: string[] = [];
  let done: () => void = () => {};
  const { counters, downlink } = bench(({ topic, payload }) => {
    published.push(`${topic} ${Buffer.from(payload).toString()}`);
    return new Promise((resolve) => {
      done = resolve;
    });
  });
  const { link, filters, send } = fakeLink();
  downlink.attach(link);
  expect(filters).toEqual(['down/gw/#']);
  let isTaken = false;
  const taken = send('down/gw/valves/3', 'open').then(() => {
    isTaken = true;
  });
  await settle();
  expect({ published, isTaken, downlinked: counters.downlinked }).toEqual({
    ...{ published: ['commands/valves/3 open'], isTaken: false, downlinked: 0 },
  });
  done();
  await taken;
  expect(counters).toMatchObject({ downlinked: 1, downlinkRefused: 0 });
});

test('what is not allowed is counted, logged with its reason, and done with', async () => {
  const { counters, downlink } = bench(() => Promise.reject(new Error('published')));
  const { link, send } = fakeLink();
  downlink.attach(link);
  await send('down/gw/pumps/1');
  await send('old/route');
  await send('down/gw/valves/1', 'more than ten bytes');
  expect(counters).toMatchObject({ downlinked: 0, downlinkRefused: 3 });
  expect(warned).toMatchObject([
    [expect.stringContaining('refused'), { topic: 'down/gw/pumps/1' }],
    [expect.stringContaining('refused'), { reason: 'no route takes its topic' }],
    [expect.stringContaining('refused'), { reason: expect.stringContaining('larger') }],
  ]);
});

test('one that can not be published is tried again while the link lasts', async () => {
  let tries = 0;
  let isFull = true;
  const { counters, downlink } = bench(() => {
    tries += 1;
    return isFull ? Promise.reject(new Error('disk full')) : Promise.resolve();
  });
  const { link, send } = fakeLink();
  downlink.attach(link);
  const taken = send('down/gw/valves/1');
  await until('it is tried again', () => tries >= 3);
  expect(counters.downlinked).toBe(0);
  isFull = false;
  await taken;
  expect(counters.downlinked).toBe(1);
});

test('what is not on flash yet is neither published again nor acknowledged', async () => {
  let published = 0;
  let keeps = 0;
  let isFull = true;
  const { counters, downlink } = bench(
    () => {
      published += 1;
      return Promise.resolve();
    },
    () => {
      keeps += 1;
      return isFull ? Promise.reject(new Error('disk full')) : Promise.resolve();
    },
  );
  const { link, send } = fakeLink();
  downlink.attach(link);
  const taken = send('down/gw/valves/1');
  await until('it is tried again', () => keeps >= 3);
  expect(counters.downlinked).toBe(0);
  isFull = false;
  await taken;
  expect([published, counters.downlinked]).toEqual([1, 1]);
});

test('and is never acknowledged when the link ends before it could be', async () => {
  let tries = 0;
  const { counters, downlink } = bench(() => {
    tries += 1;
    return Promise.reject(new Error('disk full'));
  });
  const { link, send, end } = fakeLink();
  downlink.attach(link);
  const taken = send('down/gw/valves/1').catch(() => 'not taken');
  await until('it is tried', () => tries > 0);
  end('cut');
  expect(await taken).toBe('not taken');
  const before = tries;
  // Nor is one that comes out of the end of the link.
  expect(await send('down/gw/valves/2').catch(() => 'not taken')).toBe('not taken');
  expect([tries, counters.downlinked]).toEqual([before, 0]);
});

test('a filter that the cloud does not grant is named', async () => {
  const { downlink } = bench(() => Promise.resolve());
  downlink.attach(fakeLink([{ filter: 'down/gw/#', reason: 'reason 0x87' }]).link);
  await until('it is said', () => warned.length > 0);
  expect(warned).toMatchObject([
    [expect.stringContaining('subscription'), { filter: 'down/gw/#', reason: 'reason 0x87' }],
  ]);
});
