import { expect, test } from 'vitest';
import { coversFilter, filtersMeet, matchFilter } from '../../../src/base/topic-filter.ts';

const split = (text: string) => text.split('/');

test.each([
  ['a/b', 'a/b', []],
  ['a/b', 'a/c', undefined],
  ['a/b', 'a/b/c', undefined],
  ['a/b/c', 'a/b', undefined],
  ['a/+', 'a/x', ['x']],
  ['a/+', 'a/', ['']],
  ['a/+', 'a', undefined],
  ['a/+', 'a/x/y', undefined],
  ['a/#', 'a/x/y', ['x/y']],
  ['a/#', 'a', [undefined]],
  ['a/#', 'a/', ['']],
  ['+/b/#', 'a/b/c', ['a', 'c']],
  ['#', '$SYS/x', undefined],
  ['+/x', '$SYS/x', undefined],
  ['$aws/#', '$aws/things', ['things']],
])('%s finds in %s: %j', (filter, topic, names) => {
  expect(matchFilter(split(filter), split(topic))).toEqual(names);
});

test.each([
  ['a/#', 'a', true],
  ['a/#', 'a/+/b', true],
  ['a/#', 'a/#', true],
  ['a/+', 'a/b', true],
  ['a/+', 'a/#', false],
  ['a/+', 'a/b/c', false],
  ['a/b', 'a/+', false],
  ['a/b', 'a', false],
  ['#', '$SYS/#', false],
])('%s covers %s: %s', (outer, inner, does) => {
  expect(coversFilter(split(outer), split(inner))).toBe(does);
});

test.each([
  ['a/+/c', 'a/b/+', true],
  ['a/#', 'a', true],
  ['a/#', '+/x/y', true],
  ['a/+', 'a/b/c', false],
  ['a/b', 'a', false],
  ['a/b/#', 'a/c/#', false],
  ['#', '$SYS/x', false],
])('%s and %s have a topic in common: %s', (one, two, have) => {
  expect(filtersMeet(split(one), split(two))).toBe(have);
  expect(filtersMeet(split(two), split(one))).toBe(have);
});
