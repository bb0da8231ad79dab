import { describe, expect, it } from 'vitest';
import { BitSlab } from '../../../src/dedup/bit-slab.ts';
import {
  DeviceState,
  encodeDevice,
  restoreDevice,
  storedRunMs,
} from '../../../src/dedup/device-state.ts';
import { Devices } from '../../../src/dedup/devices.ts';
import { SequenceWindow } from '../../../src/dedup/sequence-window.ts';

describe('a device that is stored', () => {
  it('does not know what was on its way: it may never have arrived', () => {
    const devices = new Devices({ maxDevices: 10 });
    const window = new SequenceWindow(devices, { wrapAt: 0 });
    for (const number of [0, 1, 2]) {
      const seen = window.claim('a', 'b', number);
      if (seen.kind === 'new' && number !== 1) seen.claim.settle();
    }
    const text = encodeDevice(devices.hear('a'), 3, 1_000);
    const load = () => text;
    const again = new SequenceWindow(new Devices({ maxDevices: 10, load }), { wrapAt: 0 });
    const kinds = [0, 1, 2, 3].map((number) => again.claim('a', 'b', number).kind);
    expect(kinds).toEqual(['known', 'new', 'known', 'new']);
    expect(storedRunMs(text)).toBe(1_000);
  });

  it('has its boots in their order, so that the oldest goes first', () => {
    const devices = new Devices({ maxDevices: 10 });
    const window = new SequenceWindow(devices, { wrapAt: 0 });
    const send = (to: SequenceWindow, boot: string) => {
      const seen = to.claim('a', boot, 7);
      if (seen.kind === 'new') seen.claim.settle();
      return seen.kind;
    };
    for (const boot of ['b1', 'b2', 'b3', 'b4']) send(window, boot);
    const text = encodeDevice(devices.hear('a'), 4, 0);
    const load = () => text;
    const again = new SequenceWindow(new Devices({ maxDevices: 10, load }), { wrapAt: 0 });
    expect(send(again, 'b5')).toBe('new');
    expect(['b4', 'b3', 'b2', 'b5'].map((boot) => send(again, boot))).toEqual(
      ['b4', 'b3', 'b2', 'b5'].map(() => 'known'),
    );
    expect(send(again, 'b1')).toBe('new');
  });

  it.each([
    ['no JSON', '{'],
    ['null', 'null'],
    ['no numbers', '{"runMs":1,"ids":1,"boots":[["b",1,"2"]]}'],
    ['no boots', '{"runMs":1,"ids":1}'],
    ['a number that is none', '{"runMs":1,"ids":1,"boots":[["b",null,2]]}'],
  ])('is as one that was never heard if it can not be read: %s', (_, text) => {
    const device = new DeviceState('a', 1);
    expect(restoreDevice(device, text, new BitSlab())).toBe(false);
    expect([device.ids, device.boots]).toEqual([0, 0]);
  });
});
