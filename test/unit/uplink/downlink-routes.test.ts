import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../src/base/clock.ts';
import { DownlinkRoutes, type DownlinkRoutesOptions } from '../../../src/uplink/downlink-routes.ts';

type Given = Partial<Omit<DownlinkRoutesOptions, 'routes'>>;

function routesOf(routes: Record<string, [from: string, to: string]>, given: Given = {}) {
  const all = Object.entries(routes).map(([name, [from, to]]) => [
    name,
    { from, to, retain: name.startsWith('kept') },
  ]);
  return new DownlinkRoutes({
    routes: Object.fromEntries(all),
    allow: ['commands/#', 'config/+'],
    gateway: 'gw-1',
    maxPayloadBytes: 100,
    maxTopicLevels: 8,
    isStreamTopic: (topic) => topic.startsWith('commands/sensors/'),
    ...given,
  });
}

const bytes = Buffer.from('open');

describe('a message', () => {
  const routes = routesOf({
    down: ['headgate/{gateway}/down/#', 'commands/#'],
    kept: ['fleet/+/config', 'config/+'],
    pair: ['x/+/y/+', 'commands/pair/+/z/+'],
    free: ['free/#', 'other/#'],
  });

  test('of the routes is what is subscribed to', () => {
    expect(routes.filters).toEqual(['headgate/gw-1/down/#', 'fleet/+/config', 'x/+/y/+', 'free/#']);
  });

  test.each([
    ['headgate/gw-1/down/valve-3/open', 'commands/valve-3/open', false],
    ['headgate/gw-1/down', 'commands', false],
    ['fleet/line-2/config', 'config/line-2', true],
    ['x/a/y/b', 'commands/pair/a/z/b', false],
  ])('%s goes to %s', (topic, local, retain) => {
    expect(routes.find({ topic, payload: bytes })).toEqual({
      topic: local,
      payload: bytes,
      retain,
    });
  });

  test.each([
    ['headgate/gw-2/down/valve-3', 'no route takes its topic'],
    ['headgate/gw-1/down/sensors/d1', 'its local topic is one for readings'],
    ['free/x', 'downlink.allow does not have its local topic'],
    ['headgate/gw-1/down/1/2/3/4/5/6/7/8', 'more levels than mqtt.maxTopicLevels, 8'],
    [`headgate/gw-1/down/${'ä'.repeat(32_764)}`, 'empty or too long'],
  ])('%s is refused: %s', (topic, says) => {
    expect(routes.find({ topic, payload: bytes })).toEqual({
      refusal: expect.stringContaining(says),
    });
  });

  test('is refused when it is too large', () => {
    const topic = 'headgate/gw-1/down/v';
    expect(routes.find({ topic, payload: Buffer.alloc(100) })).toMatchObject({ retain: false });
    expect(routes.find({ topic, payload: Buffer.alloc(101) })).toEqual({
      refusal: 'its payload is larger than mqtt.maxPayloadBytes, 100',
    });
  });
});

test('the name of the gateway is one level, whatever it is', () => {
  const routes = routesOf({ a: ['x/{gateway}', 'commands/a'] }, { gateway: 'a/+' });
  expect(routes.filters).toEqual(['x/a__']);
});

/** Out of few names, so that they meet. */
const NAMES = ['a', 'b', 'sensors', 'headgate', '$SYS', 'commands', ''];

test('what a route maps, its mirror maps back; and no forbidden topic is ever reached', () => {
  const seed = 20_260;
  const random = seededRandom(seed);
  const one = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const list = (most: number, from: readonly string[]) =>
    Array.from({ length: Math.floor(random() * (most + 1)) }, () => one(from));
  /** The wildcards, with names strewn between them. */
  const filterOf = (wildcards: readonly string[]) =>
    [...wildcards.flatMap((wild) => [...list(2, NAMES), wild])].join('/') || one(NAMES);
  const open = { allow: ['#', '$SYS/#'], isStreamTopic: () => false, maxTopicLevels: 100 };
  const seen = { mapped: 0, back: 0, refused: 0 };
  for (let i = 0; i < 20_000; i++) {
    const wildcards = [...list(2, ['+']), ...list(1, ['#'])];
    const [from, to] = [filterOf(wildcards), filterOf(wildcards)];
    const topic = list(6, NAMES).join('/');
    const there = routesOf({ a: [from, to] }, open).find({ topic, payload: bytes });
    const why = `seed ${seed}, ${i}: ${from} → ${to}, ${topic}`;
    if ('refusal' in there) {
      seen.refused += 1;
      continue;
    }
    seen.mapped += 1;
    expect(there.topic, why).not.toMatch(/^(\$|headgate(\/|$)|$)/);
    const back = routesOf({ a: [to, from] }, open).find({ topic: there.topic, payload: bytes });
    if ('refusal' in back) {
      // The mirror obeys the same rules.
      expect(topic, why).toMatch(/^(\$|headgate(\/|$)|$)/);
      continue;
    }
    seen.back += 1;
    expect(back.topic, why).toBe(topic);
  }
  // The generator reaches all of it.
  expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(50);
});
