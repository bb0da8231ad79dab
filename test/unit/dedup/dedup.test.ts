import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Reading } from '../../../src/base/reading.ts';
import { AUTO } from '../../../src/decode/json.ts';
import { WINDOW_BITS } from '../../../src/dedup/bit-slab.ts';
import { Dedup, type DedupOptions } from '../../../src/dedup/dedup.ts';
import { heapBytes } from '../../support/heap.ts';

const OPTIONS: DedupOptions = {
  mode: 'auto',
  windowMs: 60_000,
  windowIds: 100,
  maxIds: 1_000,
  maxDevices: 100,
};

function reading(device: string, body: object | string): Reading {
  const payload = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const parsed = AUTO.parse(payload);
  const id = parsed.ok ? AUTO.messageId(parsed.value) : undefined;
  if (id === undefined || typeof id === 'string') {
    return { device, topic: 't', payload, monoMs: 0 };
  }
  return { device, topic: 't', payload, monoMs: 0, messageId: id };
}

/** Claims and, if it is new, makes it durable at once. */
function send(dedup: Dedup, one: Reading, runMs = 0): string {
  const seen = dedup.claim(one, runMs);
  if (seen?.kind === 'new') seen.claim.settle();
  return seen?.kind ?? 'no id';
}

describe('dedup', () => {
  it.each([
    ['ids', (i: number) => ({ id: i })],
    ['sequence numbers', (i: number) => ({ boot: 'b', seq: i })],
  ])('a look at %s knows what is durable, and changes nothing', (_, bodyOf) => {
    const dedup = new Dedup({ ...OPTIONS, maxIds: 40, maxDevices: 2 });
    for (let i = 0; i < 40; i++) send(dedup, reading(i < 20 ? 'silent' : 'last', bodyOf(i)));
    const durable = Array.from({ length: 40 }, (_, i) =>
      reading(i < 20 ? 'silent' : 'last', bodyOf(i)),
    );
    const size = dedup.size();
    for (let i = 0; i < 100; i++) {
      expect(dedup.knows(reading(`unknown-${i}`, bodyOf(i)), 0)).toBe(false);
      expect(dedup.knows(reading('last', bodyOf(100 + i)), 0)).toBe(false);
      // It is not heard by being looked at, and stays the first to go.
      expect(dedup.knows(reading('silent', bodyOf(0)), 0)).toBe(true);
    }
    expect(durable.map((one) => dedup.knows(one, 0))).not.toContain(false);
    expect(dedup.size()).toEqual(size);
    const flying = dedup.claim(reading('last', bodyOf(40)), 0);
    expect(dedup.knows(reading('last', bodyOf(40)), 0)).toBe(false);
    if (flying?.kind === 'new') flying.claim.settle();
    expect(dedup.knows(reading('last', bodyOf(40)), 0)).toBe(true);
    send(dedup, reading('new', bodyOf(0)));
    expect(dedup.knows(reading('silent', bodyOf(0)), 0)).toBe(false);
    expect(dedup.knows(reading('last', bodyOf(40)), 0)).toBe(true);
    expect(dedup.knows(reading('last', { value: 1 }), 0)).toBe(false);
  });

  it('drops a repeat of an id, per device', () => {
    const dedup = new Dedup(OPTIONS);
    expect(send(dedup, reading('a', { id: 'x', value: 1 }))).toBe('new');
    expect(send(dedup, reading('a', { id: 'x', value: 1 }))).toBe('known');
    expect(send(dedup, reading('b', { id: 'x', value: 1 }))).toBe('new');
    expect(send(dedup, reading('a', { value: 1 }))).toBe('no id');
    expect(send(dedup, reading('a', { value: 1 }))).toBe('no id');
  });

  it.each(['auto', 'id', 'sequence'] as const)('%s: tells large numbers apart', (mode) => {
    for (const name of ['id', 'seq']) {
      const dedup = new Dedup({ ...OPTIONS, mode });
      expect(send(dedup, reading('a', `{"${name}":1732471234567890123}`))).toBe('new');
      expect(send(dedup, reading('a', `{"${name}":1732471234567890124}`))).toBe('new');
      expect(send(dedup, reading('a', `{"${name}":1732471234567890123}`))).toBe('known');
    }
  });

  it('lets a repeat wait for the first, and lets both fail with it', () => {
    const dedup = new Dedup(OPTIONS);
    const first = dedup.claim(reading('a', { id: 1 }), 0);
    const repeat = dedup.claim(reading('a', { id: 1 }), 0);
    expect([first?.kind, repeat?.kind]).toEqual(['new', 'in-flight']);
    const ends: boolean[] = [];
    if (repeat?.kind === 'in-flight') repeat.claim.wait((durable) => ends.push(durable));
    if (first?.kind === 'new') first.claim.release();
    expect(ends).toEqual([false]);
    expect(send(dedup, reading('a', { id: 1 }))).toBe('new');
  });

  it('forgets an id when its time is over, on the run clock', () => {
    const dedup = new Dedup(OPTIONS);
    send(dedup, reading('a', { id: 'x' }), 0);
    expect(send(dedup, reading('a', { id: 'x' }), 60_000)).toBe('known');
    expect(send(dedup, reading('a', { id: 'x' }), 60_001)).toBe('new');
  });

  it('holds its bound in ids, however many devices there are and were', () => {
    const dedup = new Dedup({ ...OPTIONS, maxIds: 1_000, maxDevices: 500 });
    for (let device = 0; device < 400; device++) {
      for (let i = 0; i < 50; i++) send(dedup, reading(`device-${device}`, { id: i }));
    }
    expect(dedup.size().ids).toBeLessThanOrEqual(1_000);
    // Whoever spoke last has its last few all the same.
    expect(send(dedup, reading('device-399', { id: 40 }))).toBe('known');
  });

  it('takes nothing from a device for names that others make up, while there is room', () => {
    const dedup = new Dedup({ ...OPTIONS, maxDevices: 1_000 });
    for (let i = 0; i < 100; i++) send(dedup, reading('pump', { id: i }));
    for (let i = 0; i < 850; i++) send(dedup, reading(`made-up-${i}`, { id: 1 }));
    const again = Array.from({ length: 100 }, (_, i) => send(dedup, reading('pump', { id: i })));
    expect(new Set(again)).toEqual(new Set(['known']));
  });

  it('remembers so many boots in all, and forgets the device that was silent longest', () => {
    const dedup = new Dedup({ ...OPTIONS, maxDevices: 100 });
    const boots = (device: string) =>
      ['b1', 'b2', 'b3', 'b4'].map((boot) => send(dedup, reading(device, { boot, seq: 7 })));
    for (let i = 0; i < 200; i++) {
      boots(`device-${i}`);
      expect(send(dedup, reading('steady', { boot: 'b', seq: i }))).toBe('new');
    }
    expect(dedup.size().devices).toBeLessThanOrEqual(26);
    expect(send(dedup, reading('steady', { boot: 'b', seq: 0 }))).toBe('known');
    expect(boots('device-199')).toEqual(['known', 'known', 'known', 'known']);
    expect(boots('device-0')).toEqual(['new', 'new', 'new', 'new']);
  });

  it('tells a counter that started again from a retransmit by its payload', () => {
    const dedup = new Dedup(OPTIONS);
    expect(send(dedup, reading('a', { seq: 1, value: 20 }))).toBe('new');
    expect(send(dedup, reading('a', { seq: 1, value: 20 }))).toBe('known');
    expect(send(dedup, reading('a', { seq: 1, value: 21 }))).toBe('new');
  });

  it.each(['auto', 'sequence'] as const)(
    '%s: a seq that is no number to count with is a repeat only with its payload',
    (mode) => {
      for (const seq of ['-5', '"-5"', '"a"', '1.5', '"0x10"', '"1e1"']) {
        const dedup = new Dedup({ ...OPTIONS, mode });
        for (const seen of [10, 16]) send(dedup, reading('a', { seq: seen }));
        const sent = [1, 2, 1].map((value) =>
          send(dedup, reading('a', `{"boot":"b${value}","seq":${seq},"value":${value}}`)),
        );
        expect(sent, seq).toEqual(['new', 'new', 'known']);
      }
    },
  );

  it('tells boots apart where the number is sent as text', () => {
    const dedup = new Dedup(OPTIONS);
    const sent = ['b1', 'b2', 'b1'].map((boot, value) =>
      send(dedup, reading('a', { boot, seq: '12', value })),
    );
    expect(sent).toEqual(['new', 'new', 'known']);
  });

  it('takes numbers of one boot late and out of order, each once', () => {
    const dedup = new Dedup(OPTIONS);
    const numbers = [0, 1, 5, 3, 4, 2, 900, 10, 5, 1_500, 600];
    const seen = numbers.map((seq) => send(dedup, reading('a', { boot: 'b', seq })));
    expect(
      seen.map((kind, i) => (kind === 'known' ? numbers[i] : -1)).filter((n) => n !== -1),
    ).toEqual([5]);
    expect(send(dedup, reading('a', { boot: 'b', seq: 600 }))).toBe('known');
    expect(send(dedup, reading('a', { boot: 'c', seq: 600 }))).toBe('new');
    expect(send(dedup, reading('a', { boot: 'b', seq: 900 }))).toBe('known');
  });

  it('is refilled by the records of the log', () => {
    const dedup = new Dedup(OPTIONS);
    const record = (one: Reading, offset: number) =>
      dedup.remember({
        ...one,
        stream: 's',
        partition: 0,
        offset,
        receivedAtMs: 0,
        boot: '',
        runMs: 5,
      });
    const all = [
      reading('a', { id: 'x' }),
      reading('a', { boot: 1, seq: 7 }),
      reading('a', { seq: 9, value: 2 }),
    ];
    for (const [i, one] of all.entries()) record(one, i);
    expect(all.map((one) => send(dedup, one, 6))).toEqual(['known', 'known', 'known']);
  });

  it('takes two topics of a device for two: it may number each by itself', () => {
    const dedup = new Dedup(OPTIONS);
    for (const body of [{ id: 'x' }, { seq: 7, value: 0 }]) {
      const one = reading('a', body);
      const seen = ['t/temperature', 't/humidity', 't/temperature'].map((topic) =>
        send(dedup, { ...one, topic }),
      );
      expect(seen).toEqual(['new', 'new', 'known']);
    }
  });

  it.each([
    ['ids', (i: number) => ({ id: i })],
    ['sequences', (i: number) => ({ boot: `b${i}`, seq: 1 })],
  ])('never forgets %s in flight, whoever else comes', (_, bodyOf) => {
    const dedup = new Dedup({ ...OPTIONS, maxDevices: 4 });
    const first = Array.from({ length: 8 }, (_, i) => dedup.claim(reading('a', bodyOf(i)), 0));
    expect(new Set(first.map((seen) => seen?.kind))).toEqual(new Set(['new']));
    for (let i = 0; i < 200; i++) send(dedup, reading(`device-${i}`, bodyOf(i)), 1e9);
    const again = Array.from({ length: 8 }, (_, i) => dedup.claim(reading('a', bodyOf(i)), 1e9));
    expect(new Set(again.map((seen) => seen?.kind))).toEqual(new Set(['in-flight']));
    expect(dedup.size().devices).toBeLessThanOrEqual(4);
  });

  it('does not grow while nothing can be stored', () => {
    const dedup = new Dedup(OPTIONS);
    send(dedup, reading('a', { id: 'durable' }));
    const tries = (count: number) => {
      for (let i = 0; i < count; i++) {
        const seen = dedup.claim(reading('a', { id: i % 7 }), 0);
        if (seen?.kind === 'new') seen.claim.release();
      }
    };
    tries(10_000);
    const before = heapBytes();
    tries(300_000);
    expect(heapBytes() - before).toBeLessThan(5 * 1024 * 1024);
    expect(send(dedup, reading('a', { id: 'durable' }))).toBe('known');
  });

  it('keeps within its bound: the newest of all devices', () => {
    const dedup = new Dedup({ ...OPTIONS, maxIds: 200, windowIds: 1_000 });
    for (let i = 0; i < 10_000; i++) send(dedup, reading(`d${i % 3}`, { id: i }));
    expect(dedup.size().ids).toBe(200);
    for (let i = 9_800; i < 10_000; i++) {
      expect(send(dedup, reading(`d${i % 3}`, { id: i }))).toBe('known');
    }
    expect(send(dedup, reading('d0', { id: 0 }))).toBe('new');
  });

  it('knows so many ids of each device, those repeated among them', () => {
    const dedup = new Dedup({ ...OPTIONS, windowIds: 3 });
    for (const id of [1, 2, 3, 4]) send(dedup, reading('a', { id }));
    for (let i = 0; i < 5; i++) expect(send(dedup, reading('a', { id: 3 }))).toBe('known');
    expect(send(dedup, reading('a', { id: 2 }))).toBe('known');
    expect(send(dedup, reading('a', { id: 1 }))).toBe('new');
    expect(send(dedup, reading('a', { id: 2 }))).toBe('new');
  });

  it('a repeat begins the time of its id anew where that is wished', () => {
    for (const refresh of [false, true]) {
      const dedup = new Dedup({ ...OPTIONS, refresh });
      const times = [0, 50_000, 100_000, 160_100];
      const seen = times.map((runMs) => send(dedup, reading('a', { id: 'x' }), runMs));
      const expected = refresh ? ['known', 'known', 'new'] : ['known', 'new', 'new'];
      expect(seen.slice(1), String(refresh)).toEqual(expected);
    }
  });

  it('payload: the same bytes on a topic are one reading, for a while', () => {
    const dedup = new Dedup({ ...OPTIONS, mode: 'payload' });
    expect(send(dedup, reading('a', '21.5'), 0)).toBe('new');
    expect(send(dedup, reading('a', '21.5'), 60_000)).toBe('known');
    expect(send(dedup, reading('a', '21.6'), 0)).toBe('new');
    expect(send(dedup, { ...reading('a', '21.5'), topic: 'u' }, 0)).toBe('new');
    expect(send(dedup, reading('b', '21.5'), 0)).toBe('new');
    // An id says nothing here.
    expect(send(dedup, reading('a', { id: 1, value: 1 }), 0)).toBe('new');
    expect(send(dedup, reading('a', { id: 1, value: 2 }), 0)).toBe('new');
    expect(send(dedup, reading('a', '21.5'), 60_001)).toBe('new');
  });

  it('a counter without a boot that starts again is new, though more is always on its way', () => {
    const dedup = new Dedup({ ...OPTIONS, mode: 'sequence' });
    for (let seq = 0; seq <= 5_000; seq++) send(dedup, reading('a', { seq }));
    let last = dedup.claim(reading('a', { seq: 5_001 }), 0);
    for (let seq = 0; seq <= 5_000; seq++) {
      const seen = dedup.claim(reading('a', { seq, again: true }), 0);
      expect(seen?.kind, String(seq)).toBe('new');
      if (last?.kind === 'new') last.claim.settle();
      last = seen;
    }
    expect(dedup.size().resets).toBe(1);
    expect(send(dedup, reading('a', { seq: 4_900 }))).toBe('known');
  });

  it('a counter that wraps may leave out more than half of its range', () => {
    for (const lost of [40_000, 49_000]) {
      const dedup = new Dedup({ ...OPTIONS, mode: 'sequence', counterBits: 16 });
      const at = (n: number) => reading('a', { boot: 'b', seq: n % 65_536, n });
      for (let n = 0; n < 70_000; n++) send(dedup, at(n));
      const after = Array.from({ length: 3_000 }, (_, i) => 70_000 + lost + i);
      expect(after.filter((n) => send(dedup, at(n)) !== 'new')).toEqual([]);
      expect(after.filter((n) => send(dedup, at(n)) !== 'known')).toEqual([]);
    }
  });

  it('a number that nobody counts to costs nothing, least of all time', () => {
    for (const seq of [2 ** 53 - 1, 2 ** 53 - 2, 2 ** 52 + 1, 2 ** 52]) {
      const dedup = new Dedup({ ...OPTIONS, mode: 'sequence' });
      for (const body of [{ boot: 'b', seq }, { seq }]) {
        expect(send(dedup, reading('a', body)), String(seq)).toBe('new');
        expect(send(dedup, reading('a', body)), String(seq)).toBe('known');
      }
      for (const device of dedup.devices.all()) {
        expect(dedup.devices.encode(device, 0, 0).length).toBeLessThan(200);
      }
      expect([...dedup.gaps()]).toEqual([]);
    }
  });

  it('an id that is new again after its time is known again from there on', () => {
    const dedup = new Dedup({ ...OPTIONS, windowMs: 1_000 });
    const times = [0, 5_000, 5_100, 5_900, 6_200];
    const seen = times.map((runMs) => send(dedup, reading('a', { id: 'x' }), runMs));
    expect(seen).toEqual(['new', 'new', 'known', 'known', 'new']);
  });

  it('a repeat that begins its time anew is to be stored once more, and once only', () => {
    const dedup = new Dedup({ ...OPTIONS, refresh: true });
    send(dedup, reading('a', { id: 'x' }), 0);
    dedup.ids.keptTo = dedup.ids.pushed;
    for (const runMs of [100, 200, 300]) send(dedup, reading('a', { id: 'x' }), runMs);
    expect(dedup.ids.pushed - dedup.ids.keptTo).toBe(1);
    expect(send(dedup, reading('a', { id: 'x' }), 60_300)).toBe('known');
  });

  it('counts on beyond 2^32 ids of a device', () => {
    const load = () => JSON.stringify({ runMs: 0, ids: 2 ** 32 + 5, counting: '', boots: [] });
    const dedup = new Dedup({ ...OPTIONS, windowIds: 2, load });
    const seen = [1, 2, 3, 2, 1].map((id) => send(dedup, reading('a', { id })));
    expect(seen).toEqual(['new', 'new', 'new', 'known', 'new']);
  });

  it('takes ids of a device that was forgotten meanwhile for new: it may use them again', () => {
    const dedup = new Dedup({ ...OPTIONS, maxDevices: 10 });
    for (let n = 0; n < 800; n++) send(dedup, reading('a', { id: n % 500 }));
    for (let n = 0; n < 30; n++) send(dedup, reading(`x${n}`, { id: 1 }));
    const seen = [301, 350, 400].map((id) => send(dedup, reading('a', { id })));
    expect(seen).toEqual(['new', 'new', 'new']);
  });

  it('repeats push out nobody’s ids, also where they begin their time anew', () => {
    const dedup = new Dedup({ ...OPTIONS, refresh: true });
    for (let n = 0; n < 50; n++) send(dedup, reading('a', { id: n }));
    for (let n = 0; n < 5_000; n++) send(dedup, reading('b', { id: 'same' }));
    const seen = Array.from({ length: 50 }, (_, id) => send(dedup, reading('a', { id })));
    expect(new Set(seen)).toEqual(new Set(['known']));
  });

  it('drops nothing that is new, and knows all of the window (sequence)', () => {
    const step = fc.record({ seq: fc.nat(WINDOW_BITS * 4), lives: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const dedup = new Dedup(OPTIONS);
        const durable = new Set<number>();
        let high = -1;
        for (const { seq, lives } of steps) {
          const seen = dedup.claim(reading('a', { boot: 'b', seq }), 0);
          if (!durable.has(seq)) expect(seen?.kind).toBe('new');
          else if (seq > high - WINDOW_BITS) expect(seen?.kind).toBe('known');
          high = Math.max(high, seq);
          if (seen?.kind !== 'new') continue;
          if (lives) {
            seen.claim.settle();
            durable.add(seq);
          } else seen.claim.release();
        }
      }),
    );
  });
});
