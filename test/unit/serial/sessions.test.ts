import { describe, expect, test } from 'vitest';
import { CobsFramer, frameOf } from '../../../firmware-bridge/serial/cobs.ts';
import { CobsSession } from '../../../firmware-bridge/serial/cobs-session.ts';
import { JsonSession } from '../../../firmware-bridge/serial/json-session.ts';
import { newLineCounts } from '../../../firmware-bridge/serial/line-counts.ts';
import type { SessionOptions } from '../../../firmware-bridge/serial/port-session.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A session with a gateway that answers when it is told to. */
function stage(framing: 'json' | 'cobs') {
  const clock = new FakeClock();
  const counts = newLineCounts();
  const published: Array<{ topic: string; payload: string; end(isStored: boolean): void }> = [];
  const sent: Buffer[] = [];
  const options: SessionOptions = {
    ...{ device: 'port-1', prefix: 'sensors', maxFrameBytes: 100, clock, counts },
    publish: (topic, payload) =>
      new Promise((resolve) => {
        const end = (isStored: boolean) => resolve(isStored ? 'stored' : 'refused');
        published.push({ topic, payload: Buffer.from(payload).toString(), end });
      }),
    send: (bytes) => sent.push(Buffer.from(bytes)),
  };
  const session = framing === 'cobs' ? new CobsSession(options) : new JsonSession(options);
  const take = (bytes: Uint8Array | string) => {
    for (const step of session.take(Buffer.from(bytes))) step();
  };
  /** What the device has got since the last look. */
  const answers = () => {
    const all = Buffer.concat(sent.splice(0));
    if (framing === 'json') return all.toString().split('\n').slice(0, -1);
    const events = new CobsFramer(1_000).take(all);
    return events.map((e) => (e.kind === 'body' ? Buffer.from(e.body).toString('hex') : e.kind));
  };
  /** The gateway's answer to the reading at `at`. */
  const end = async (at: number, isStored = true) => {
    published[at]?.end(isStored);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { session, clock, counts, published, take, answers, end };
}

const u32 = (value: number) => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255];
const named = (name: string) => [Buffer.byteLength(name), ...Buffer.from(name)];
const hello = (boot: number, name: string) =>
  frameOf(Uint8Array.from([0x11, ...u32(boot), ...named(name)]));
const reading = (boot: number, seq: number, topic = 't', payload = '{}') =>
  frameOf(
    Uint8Array.from([0x12, ...u32(boot), ...u32(seq), ...named(topic), ...Buffer.from(payload)]),
  );

describe('COBS', () => {
  test('acknowledges a reading after its PUBACK and not before', async () => {
    const { take, published, answers, end, counts } = stage('cobs');
    take(hello(7, 'pump-3'));
    expect(answers()).toEqual(['14' + '0000019b76daa800' + '0064']);
    take(reading(7, 42, 'temperature', '{"boot":7,"seq":42,"value":1}'));
    take(reading(7, 43));
    expect(published.map(({ topic }) => topic)).toEqual([
      'sensors/pump-3/temperature',
      'sensors/pump-3/t',
    ]);
    expect(published[0]?.payload).toBe('{"boot":7,"seq":42,"value":1}');
    expect(answers()).toEqual([]);
    await end(1);
    expect(answers()).toEqual(['13000000070000002b']);
    await end(0);
    expect(answers()).toEqual(['13000000070000002a']);
    expect(counts).toMatchObject({ readings: 2, stored: 2, acked: 2, naks: 0 });
  });

  test('a reading that comes again while it is on its way is published once', async () => {
    const { take, published, answers, end, counts } = stage('cobs');
    take(hello(7, ''));
    answers();
    take(reading(7, 1));
    take(reading(7, 1));
    expect(published.length).toBe(1);
    expect(published[0]?.topic).toBe('sensors/port-1/t');
    await end(0);
    expect(answers().length).toBe(1);
    // Its ack was lost: the gateway is asked again, and knows it.
    take(reading(7, 1));
    expect(published.length).toBe(2);
    await end(1);
    expect(answers()).toEqual(['130000000700000001']);
    expect(counts.repeats).toBe(1);
  });

  test('another device on the line is not told of the one before', async () => {
    const { take, published, answers, end } = stage('cobs');
    take(hello(1, 'pump-3'));
    take(reading(1, 1));
    // Sent again, a HELLO changes nothing.
    take(hello(1, 'pump-3'));
    take(reading(1, 1));
    expect(published.length).toBe(1);
    // Put in its place while the gateway is away; its numbers are the same.
    take(hello(1, 'pump-4'));
    take(reading(1, 1));
    answers();
    expect(published.map(({ topic }) => topic)).toEqual(['sensors/pump-3/t', 'sensors/pump-4/t']);
    await end(0);
    expect(answers()).toEqual([]);
    await end(1);
    expect(answers()).toEqual(['130000000100000001']);
  });

  test('asks whose a reading is, at most twice a second, and takes none till it knows', () => {
    const { session, take, published, answers, clock, counts } = stage('cobs');
    session.start();
    expect(answers()).toEqual(['16']);
    clock.advance(400);
    take(reading(7, 1));
    expect(answers()).toEqual([]);
    clock.advance(100);
    take(reading(7, 1));
    expect(answers()).toEqual(['16']);
    take(hello(6, 'pump-3'));
    take(reading(7, 1));
    expect(published).toEqual([]);
    expect(counts).toMatchObject({ unknownBoots: 3, readings: 0 });
    take(hello(7, 'pump-3'));
    take(reading(7, 1));
    expect(published.length).toBe(1);
  });

  test.each(['a+b', '#', 'a\0b', 'x/'.repeat(14), '\ud800'])('refuses the topic %j', (topic) => {
    const { take, published, answers } = stage('cobs');
    take(hello(7, 'pump-3'));
    answers();
    const bytes = topic === '\ud800' ? [1, 0xff] : named(topic);
    take(frameOf(Uint8Array.from([0x12, ...u32(7), ...u32(1), ...bytes])));
    expect(published).toEqual([]);
    expect(answers()).toEqual(['15000000070000000102']);
  });

  test('refuses what is too long, has no usable device, or the gateway refuses', async () => {
    const { take, answers, end, published, counts } = stage('cobs');
    take(reading(7, 9, 't', 'x'.repeat(200)));
    expect(answers()).toEqual(['15000000070000000901']);
    take(hello(7, 'a/b'));
    answers();
    take(reading(7, 1));
    expect(answers()).toEqual(['15000000070000000102']);
    take(hello(7, 'a'));
    answers();
    take(reading(7, 2));
    await end(0, false);
    expect(answers()).toEqual(['15000000070000000203']);
    expect(published.length).toBe(1);
    expect(counts).toMatchObject({ naks: 3, tooLong: 1, stored: 0, acked: 0 });
  });

  test('says no time where the clock was never set', () => {
    const { take, answers, clock } = stage('cobs');
    clock.wall = 60_000;
    take(hello(7, 'a'));
    expect(answers()).toEqual(['1400000000000000000064']);
  });

  test('counts noise, and frames of a type that it does not know', () => {
    const { take, answers, counts } = stage('cobs');
    take(Uint8Array.from([5, 1, 2, 0, 0, 9, 0]));
    take(frameOf(Uint8Array.of(0x1f, 1)));
    take(frameOf(Uint8Array.of(0x22, ...u32(7), ...u32(1), 0)));
    take(frameOf(Uint8Array.of(0x12, ...u32(7), ...u32(1), 200, 1)));
    take(frameOf(Uint8Array.of(0x11, 1)));
    expect(answers()).toEqual([]);
    expect(counts).toMatchObject({ damaged: 2, noiseBytes: 4, frames: 4, unknownFrames: 4 });
  });
});

describe('JSON lines', () => {
  test('are published as they came, and acknowledged after the PUBACK', async () => {
    const { take, published, answers, end, counts } = stage('json');
    take('{"device":"pump-3","topic":"a/b", "id":"7-42","value":21.50}\r\n{"boot":1,"seq":2}\n');
    expect(published.map(({ topic, payload }) => [topic, payload])).toEqual([
      ['sensors/pump-3/a/b', '{"device":"pump-3","topic":"a/b", "id":"7-42","value":21.50}'],
      ['sensors/port-1', '{"boot":1,"seq":2}'],
    ]);
    expect(answers()).toEqual([]);
    await end(1);
    await end(0);
    expect(answers()).toEqual(['{"ack":[1,2]}', '{"ack":"7-42"}']);
    expect(counts).toMatchObject({ frames: 2, readings: 2, stored: 2, acked: 2 });
  });

  test('without an id are two, and with one that is on its way are one', async () => {
    const { take, published, answers, end } = stage('json');
    take('{"value":1}\n{"value":1}\n{"id":1}\n{"id":1}\n');
    expect(published.length).toBe(3);
    for (const at of [0, 1, 2]) await end(at);
    expect(answers()).toEqual(['{"ack":1}']);
  });

  test.each([
    ['{"id":1,"device":"a/b"}', '{"nak":1,"error":"device"}'],
    ['{"id":1,"device":7}', '{"nak":1,"error":"device"}'],
    ['{"id":1,"topic":"+"}', '{"nak":1,"error":"topic"}'],
    ['{"id":1,"topic":7}', '{"nak":1,"error":"topic"}'],
  ])('%s is refused', (line, answer) => {
    const { take, published, answers, counts } = stage('json');
    take(`${line}\n`);
    expect(published).toEqual([]);
    expect(answers()).toEqual([answer]);
    expect(counts.naks).toBe(1);
  });

  test('what the gateway refuses is refused', async () => {
    const { take, answers, end } = stage('json');
    take('{"id":1}\n');
    await end(0, false);
    expect(answers()).toEqual(['{"nak":1,"error":"refused"}']);
  });

  test('noise is counted, and not answered', () => {
    const { take, answers, counts } = stage('json');
    take(`rst:0x1\n{"id":1,"va{"id":2}\n${'x'.repeat(101)}\n`);
    expect(answers()).toEqual([]);
    expect(counts).toMatchObject({ damaged: 2, tooLong: 1, noiseBytes: 7 + 19 + 101, frames: 0 });
  });
});
