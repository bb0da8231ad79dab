import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SessionIndex } from '../../../src/ingest/session-index.ts';

test.each([
  ['home/x', 'home/x', true],
  ['home/x', 'home/y', false],
  ['home', 'home/x', false],
  ['home/x', 'home', false],
  ['home/#', 'home/x/y', true],
  ['home/#', 'home', true],
  ['home/+', 'home/x', true],
  ['home/+', 'home', false],
  ['home/+', 'home/', true],
  ['home/+', 'home/x/y', false],
  ['+/x/#', 'a/x', true],
  ['#', 'a/b/c', true],
  ['+', '', true],
  ['/+', '/x', true],
  ['+', '/x', false],
  ['#', '$SYS/x', false],
  ['+/x', '$SYS/x', false],
  ['$SYS/#', '$SYS/x', true],
  ['a/#', 'a/$b', true],
])('%j matches %j: %j', (filter, topic, matches) => {
  const index = new SessionIndex();
  index.set('c', filter, 1);
  expect(index.match(topic)).toEqual(matches ? [{ clientId: 'c', topic: filter }] : []);
});

/** The rules of MQTT 4.7, read off the page. */
function matches(filter: readonly string[], topic: readonly string[]): boolean {
  const [first, ...others] = filter;
  if (first === undefined) return topic.length === 0;
  if (first === '#') return true;
  if (topic.length === 0) return false;
  return (first === '+' || first === topic[0]) && matches(others, topic.slice(1));
}

test('any changes to any filters: each session gets what its filters match', () => {
  const name = fc.constantFrom('a', 'b', '');
  const topics = fc.array(name, { minLength: 1, maxLength: 4 });
  const filters = fc
    .tuple(
      fc.array(fc.constantFrom('a', 'b', '', '+'), { minLength: 1, maxLength: 3 }),
      fc.boolean(),
    )
    .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/'));
  const change = fc.record({
    kind: fc.constantFrom('set', 'remove', 'forget'),
    client: fc.constantFrom('c', 'd'),
    filter: filters,
    qos: fc.constantFrom(0, 1, 2),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), topics, (changes, topic) => {
      const index = new SessionIndex();
      const model = new Set<string>();
      for (const { kind, client, filter, qos } of changes) {
        if (kind === 'set') index.set(client, filter, qos);
        else if (kind === 'remove') index.remove(client, filter);
        else index.forget(client);
        if (kind === 'set' && qos > 0) model.add(`${client} ${filter}`);
        else if (kind !== 'forget') model.delete(`${client} ${filter}`);
        else for (const key of model) if (key.startsWith(client)) model.delete(key);
      }
      const expected = [...model].filter((key) => matches(key.slice(2).split('/'), topic));
      const found = index
        .match(topic.join('/'))
        .map(({ clientId, topic: t }) => `${clientId} ${t}`);
      expect(found.sort()).toEqual(expected.sort());
    }),
    { numRuns: 500 },
  );
});
