import { describe, expect, it } from 'vitest';
import { BitSlab } from '../../../src/dedup/bit-slab.ts';
import { DeviceState, restoreDevice, storedRunMs } from '../../../src/dedup/device-state.ts';
import { Devices } from '../../../src/dedup/devices.ts';
import { SequenceWindow } from '../../../src/dedup/sequence-window.ts';

describe('a device that is stored', () => {
  it('does not know what was on its way: it may never have arrived', () => {
    const devices = new Devices({ maxDevices: 10, counting: 'numbers' });
    const window = new SequenceWindow(devices, { wrapAt: 0 });
    for (const number of [0, 1, 2]) {
      const seen = window.claim('a', 'b', number);
      if (seen.kind === 'new' && number !== 1) seen.claim.settle();
    }
    const text = devices.encode(devices.hear('a'), 3, 1_000);
    const load = () => text;
    const again = new SequenceWindow(new Devices({ maxDevices: 10, counting: 'numbers', load }), {
      wrapAt: 0,
    });
    const kinds = [0, 1, 2, 3].map((number) => again.claim('a', 'b', number).kind);
    expect(kinds).toEqual(['known', 'new', 'known', 'new']);
    expect(storedRunMs(text)).toBe(1_000);
  });

  it('has its boots in their order, so that the oldest goes first', () => {
    const devices = new Devices({ maxDevices: 10, counting: 'numbers' });
    const window = new SequenceWindow(devices, { wrapAt: 0 });
    const send = (to: SequenceWindow, boot: string) => {
      const seen = to.claim('a', boot, 7);
      if (seen.kind === 'new') seen.claim.settle();
      return seen.kind;
    };
    for (const boot of ['b1', 'b2', 'b3', 'b4']) send(window, boot);
    const text = devices.encode(devices.hear('a'), 4, 0);
    const load = () => text;
    const again = new SequenceWindow(new Devices({ maxDevices: 10, counting: 'numbers', load }), {
      wrapAt: 0,
    });
    expect(send(again, 'b5')).toBe('new');
    expect(['b4', 'b3', 'b2', 'b5'].map((boot) => send(again, boot))).toEqual(
      ['b4', 'b3', 'b2', 'b5'].map(() => 'known'),
    );
    expect(send(again, 'b1')).toBe('new');
  });

  it('says nothing of its numbers to whoever takes numbers in another way', () => {
    const before = new Devices({ maxDevices: 10, counting: 'sequence 16' });
    const window = new SequenceWindow(before, { wrapAt: 65_536 });
    for (let number = 0; number < 3_000; number++) {
      const seen = window.claim('a', 'b', number);
      if (seen.kind === 'new') seen.claim.settle();
    }
    const text = before.encode(before.hear('a'), 7, 0);
    const load = () => text;
    const devices = new Devices({ maxDevices: 10, counting: 'sequence 0', load });
    const again = new SequenceWindow(devices, { wrapAt: 0 });
    // The first was put one round up: taken as it is, it would be a repeat when the count is there.
    for (const number of [65_536, 66_000]) expect(again.claim('a', 'b', number).kind).toBe('new');
    expect(devices.hear('a').ids).toBe(7);
  });

  it.each(['before', 'after'])('is as it was when it left %s a write that failed', (when) => {
    const load = () => undefined;
    const devices = new Devices({ maxDevices: 2, counting: 'numbers', load });
    const window = new SequenceWindow(devices, { wrapAt: 0 });
    const send = (device: string, number: number) => {
      const seen = window.claim(device, 'b', number);
      if (seen.kind === 'new') seen.claim.settle();
      return seen.kind;
    };
    send('a', 1);
    const leave = () => ['x', 'y', 'z'].map((other) => devices.hear(other));
    if (when === 'before') leave();
    devices.takeChanged();
    if (when === 'after') leave();
    expect(devices.look('a', (device) => device.boots)).toBe(1);
    devices.stored(false);
    expect(send('a', 1)).toBe('known');
    const names = devices.takeChanged().map(({ name }) => name);
    expect(names).toContain('a');
    devices.stored(true);
    leave();
    // Nothing of it was stored here: it would come from there.
    expect(send('a', 1)).toBe('new');
  });

  it('comes back with its boots only while there is room for so many', () => {
    const boots = ['a', 'b', 'c', 'd'].map((boot) => [boot, 0, 0]);
    const text = JSON.stringify({ runMs: 0, ids: 0, counting: 'numbers', boots });
    const devices = new Devices({ maxDevices: 100, counting: 'numbers', load: () => text });
    for (let n = 0; n < 1_000; n++) devices.hear(`d${n}`);
    const held = [...devices.all()].reduce((sum, device) => sum + device.boots, 0);
    expect(held).toBeLessThanOrEqual(100);
    expect(devices.hear('d999').boots).toBe(4);
  });

  it.each([
    ['no JSON', '{'],
    ['null', 'null'],
    ['no numbers', '{"runMs":1,"ids":1,"boots":[["b",1,"2"]]}'],
    ['no boots', '{"runMs":1,"ids":1}'],
    ['a number that is none', '{"runMs":1,"ids":1,"boots":[["b",null,2]]}'],
  ])('is as one that was never heard if it can not be read: %s', (_, text) => {
    const device = new DeviceState('a', 1);
    expect(restoreDevice(device, text, { counting: 'numbers', slab: new BitSlab() })).toBe(false);
    expect([device.ids, device.boots]).toEqual([0, 0]);
  });
});
