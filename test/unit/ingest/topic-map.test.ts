import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseReading } from '../../../src/ingest/parse-reading.ts';
import { matchTopic, TopicMap } from '../../../src/ingest/topic-map.ts';
import { partitionOf } from '../../../src/log/partition.ts';
import { heapBytes } from '../../support/heap.ts';
import { autoRules } from '../../support/reading-rules.ts';

const match = (pattern: string, topic: string) => matchTopic(pattern.split('/'), topic.split('/'));

describe('a topic pattern', () => {
  it('finds the device where the pattern has it', () => {
    expect(match('sensors/<device>/#', 'sensors/d1/room/t')).toBe('d1');
    // [MQTT-4.7.1-2]: the number sign takes in the level above it.
    expect(match('sensors/<device>/#', 'sensors/d1')).toBe('d1');
    expect(match('sensors/<device>/#', 'sensors')).toBeUndefined();
    expect(match('site/+/<device>/t', 'site/7/d1/t')).toBe('d1');
    expect(match('site/+/<device>/t', 'site/7/d1/t/x')).toBeUndefined();
    expect(match('site/+/<device>/t', 'site/7/d1')).toBeUndefined();
    expect(match('a/<device>', 'b/d1')).toBeUndefined();
    expect(match('sensors/<device>/#', 'sensors//t')).toBe('');
  });
});

describe('a topic map', () => {
  const map = new TopicMap([
    { stream: 'special', partitions: 2, pattern: 'sensors/<device>/vibration' },
    { stream: 'readings', partitions: 4, pattern: 'sensors/<device>/#' },
  ]);

  it('takes the first pattern that matches, and always the same partition', () => {
    expect(map.find('sensors/d1/vibration')).toMatchObject({ stream: 'special', device: 'd1' });
    const place = map.find('sensors/d1/t');
    expect(place).toMatchObject({ stream: 'readings', partition: partitionOf('d1', 4) });
    expect(map.find('sensors/d1/t')).toEqual(place);
    expect(map.find('other/d1')).toBeUndefined();
    expect(map.find('other/d1')).toBeUndefined();
  });

  it('knows a device name that can be no key', () => {
    const usable = (device: string) => map.find(`sensors/${device}/t`)?.isUsable;
    expect(usable('d1')).toBe(true);
    expect(usable('')).toBe(false);
    expect(usable('a\u0007b')).toBe(false);
    expect(usable('é'.repeat(64))).toBe(true);
    expect(usable('é'.repeat(65))).toBe(false);
  });

  it('keeps no long topic, nor a device that holds one', () => {
    const map = new TopicMap([{ stream: 's', partitions: 4, pattern: 'sensors/<device>/#' }]);
    const devices: string[] = [];
    const grownBy = (count: number) => {
      const before = heapBytes();
      for (let i = 0; i < count; i++) {
        const end = 'x'.repeat(60_000);
        const place = map.find(Buffer.from(`sensors/a-long-device-${i}/${end}`).toString());
        devices.push(place?.device ?? '');
      }
      return heapBytes() - before;
    };
    grownBy(10);
    expect(grownBy(500)).toBeLessThan(5 * 1024 * 1024);
    expect(devices.at(-1)).toBe('a-long-device-499');
  });

  it('stays right when more topics come than it remembers', () => {
    const few = new TopicMap([{ stream: 's', partitions: 3, pattern: '<device>/#' }]);
    for (let i = 0; i < 25_000; i++) expect(few.find(`d${i}/x`)?.device).toBe(`d${i}`);
    expect(few.find('d3/x')).toMatchObject({ device: 'd3', partition: partitionOf('d3', 3) });
  });
});

describe('a message', () => {
  const parse = (text: string, max = 100) =>
    parseReading(
      { device: 'd', topic: 't', payload: Buffer.from(text), monoMs: 5 },
      autoRules(max),
    );

  it('is a reading, or has a reason why not', () => {
    expect(parse('{"id":"x","ts":1700000000,"value":1}')).toMatchObject({
      ok: true,
      reading: {
        messageId: { kind: 'id', text: 'x' },
        deviceTimeMs: 1_700_000_000_000,
        monoMs: 5,
      },
    });
    expect(parse('{"value":1}')).toMatchObject({ ok: true, reading: { device: 'd', topic: 't' } });
    expect(parse('NaN')).toEqual({ ok: false, code: 'PAYLOAD_NOT_A_READING' });
    expect(parse('')).toEqual({ ok: false, code: 'PAYLOAD_EMPTY' });
    expect(parse('1'.repeat(101))).toEqual({ ok: false, code: 'PAYLOAD_TOO_LARGE' });
    expect(parse('{"id":[]}')).toEqual({ ok: false, code: 'PAYLOAD_ID_INVALID' });
  });

  it('never throws and keeps its bytes as they came', () => {
    const rules = autoRules(50);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (payload) => {
        const parsed = parseReading({ device: 'd', topic: 't', payload, monoMs: 0 }, rules);
        if (parsed.ok) expect(parsed.reading.payload).toBe(payload);
        else expect(parsed.code).toMatch(/^PAYLOAD_/);
      }),
    );
  });
});
