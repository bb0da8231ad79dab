import { expect, it } from 'vitest';
import { meantAlert } from '../../../src/cli/alerts-ack.ts';

const HOT = 'begin:boiler/temperature/limit%3Ahot:9f3c:readings:1:7';
const ODD = 'begin:50%/t:9f3c:readings:1:8';

it.each([
  ['begin:boiler/temperature/limit:hot:9f3c:readings:1:7', HOT],
  ['begin:boiler/temperature/limit%3ahot:9f3c:readings:1:7', HOT],
  [ODD, ODD],
  ['begin:boiler/temperature/limit:hot:9f3c:readings:1:9', undefined],
])('%s means %s', (typed, meant) => {
  expect(meantAlert(typed, [HOT, ODD])).toBe(meant);
});

it('of two that read the same none is meant', () => {
  expect(meantAlert('begin:a:b:c', ['begin:a%3Ab:c', 'begin:a:b%3Ac'])).toBeUndefined();
});
