import { describe, expect, it, test } from 'vitest';
import { AUTO } from '../../../src/decode/json.ts';
import { idSourceFault, messageIdRule } from '../../../src/ingest/id-source.ts';

interface Sent {
  readonly topic?: string;
  readonly body?: unknown;
  readonly properties?: Readonly<Record<string, string | readonly string[]>>;
}

function idOf(idFrom: string, bootFrom: string, { topic = 't', body = {}, properties }: Sent) {
  const payload = Buffer.from(JSON.stringify(body));
  const message = { device: 'd', topic, payload, monoMs: 0, userProperties: properties };
  return messageIdRule(idFrom, bootFrom, AUTO)(message, body as object);
}

const id = (text: string) => ({ kind: 'id', text });
const counter = (sequence: number) => ({ kind: 'counter', text: String(sequence), sequence });
const counted = (boot: string, sequence: number) => ({
  kind: 'sequence',
  text: `${boot}:${sequence}`,
  boot,
  sequence,
});

describe('where the id is', () => {
  it('is the rule of the format unless something else is said', () => {
    expect(idOf('payload', 'payload', { body: { id: 'a' } })).toEqual(id('a'));
    expect(idOf('payload', 'payload', { body: { seq: 1, boot: 'b' } })).toEqual(counted('b', 1));
  });

  it('is a pointer into the payload', () => {
    const body = { meta: { uid: 'u-1', 'a/b': { '~': 7 } }, list: [{ id: 'x' }] };
    expect(idOf('pointer:/meta/uid', 'payload', { body })).toEqual(id('u-1'));
    expect(idOf('pointer:/meta/a~1b/~0', 'payload', { body })).toEqual(id('7'));
    expect(idOf('pointer:/list/0/id', 'payload', { body })).toEqual(id('x'));
    for (const gone of ['/meta/none', '/list/1/id', '/list/-', '/list/00/id', '/meta/uid/length']) {
      expect(idOf(`pointer:${gone}`, 'payload', { body }), gone).toBeUndefined();
    }
    for (const own of ['/constructor/name', '/__proto__', '/toString']) {
      expect(idOf(`pointer:${own}`, 'payload', { body }), own).toBeUndefined();
    }
    expect(idOf('pointer:/meta', 'payload', { body })).toBe('PAYLOAD_ID_INVALID');
  });

  it('is a level of the topic', () => {
    expect(idOf('topic:3', 'payload', { topic: 'a/b/c' })).toEqual(id('c'));
    expect(idOf('topic:4', 'payload', { topic: 'a/b/c' })).toBeUndefined();
    expect(idOf('topic:2', 'payload', { topic: 'a//c' })).toBe('PAYLOAD_ID_INVALID');
  });

  it('is a user property, the first of its name', () => {
    const properties = { 'msg-id': 'm-1', many: ['one', 'two'], long: 'x'.repeat(257) };
    expect(idOf('property:msg-id', 'payload', { properties })).toEqual(id('m-1'));
    expect(idOf('property:many', 'payload', { properties })).toEqual(id('one'));
    expect(idOf('property:none', 'payload', { properties })).toBeUndefined();
    expect(idOf('property:toString', 'payload', { properties })).toBeUndefined();
    const inherited = Object.create({ constructor: 'of-none' });
    expect(idOf('property:constructor', 'payload', { properties: inherited })).toBeUndefined();
    expect(idOf('property:msg-id', 'payload', {})).toBeUndefined();
    expect(idOf('property:long', 'payload', { properties })).toBe('PAYLOAD_ID_INVALID');
  });
});

describe('where the boot is', () => {
  it('makes a number count in it, wherever the two are', () => {
    const sent = { topic: 'd/b7/12', body: { n: 3, seq: 4, boot: 'own' }, properties: { at: '5' } };
    expect(idOf('pointer:/n', 'topic:2', sent)).toEqual(counted('b7', 3));
    expect(idOf('topic:3', 'payload', sent)).toEqual(counted('own', 12));
    expect(idOf('property:at', 'topic:2', sent)).toEqual(counted('b7', 5));
    expect(idOf('payload', 'topic:2', sent)).toEqual(counted('b7', 4));
  });

  it('does nothing to what is no number', () => {
    const sent = { topic: 'd/b7', body: { uid: 'u', id: 'i' } };
    expect(idOf('pointer:/uid', 'topic:2', sent)).toEqual(id('u'));
    const mixed = { topic: 'd/b7', body: { uid: '12ab' } };
    expect(idOf('pointer:/uid', 'topic:2', mixed)).toEqual(id('12ab'));
    expect(idOf('payload', 'topic:2', sent)).toEqual(id('i'));
    expect(idOf('payload', 'topic:2', { topic: 'd/b7', body: { seq: 'x' } })).toMatchObject({
      kind: 'counter',
      text: 'x',
    });
  });

  it('leaves a counter where it should be and is not: it may start again', () => {
    expect(idOf('pointer:/n', 'topic:9', { body: { n: 3 } })).toEqual(counter(3));
    expect(idOf('payload', 'topic:9', { body: { seq: 4, boot: 'own' } })).toEqual(counter(4));
    expect(idOf('pointer:/n', 'payload', { body: { n: 3 } })).toEqual(id('3'));
    expect(idOf('pointer:/n', 'payload', { body: { n: 3, boot: null } })).toEqual(id('3'));
  });

  it('of no usable kind is said to be invalid', () => {
    expect(idOf('pointer:/n', 'pointer:/b', { body: { n: 3, b: {} } })).toBe('PAYLOAD_ID_INVALID');
    expect(idOf('pointer:/n', 'payload', { body: { n: 3, boot: '' } })).toBe('PAYLOAD_ID_INVALID');
  });
});

test.each([
  ['', 'allowed: payload, pointer:'],
  ['pointer', 'allowed: payload'],
  ['header:x', 'allowed: payload'],
  ['payload:', 'allowed: payload'],
  ['pointer:meta', 'begins with /'],
  ['pointer:', 'begins with /'],
  ['pointer:/a~2', '~0'],
  [`pointer:/${'x'.repeat(300)}`, 'longer than 256'],
  [`pointer:${'/x'.repeat(17)}`, 'more than 16 levels'],
  ['topic:0', 'from 1 to 100'],
  ['topic:101', 'from 1 to 100'],
  ['topic:a', 'from 1 to 100'],
  ['property:', '1 to 128'],
])('%j is no place for an id', (text, says) => {
  expect(idSourceFault(text)).toContain(says);
});

test.each(['payload', 'pointer:/a/0/b', 'topic:1', 'topic:100', 'property:a:b'])(
  '%j is one',
  (text) => expect(idSourceFault(text)).toBeUndefined(),
);
