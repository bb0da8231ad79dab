import { expect, it, vi } from 'vitest';
import { silentLogger } from '../../src/base/logger.ts';
import { gatewayId } from '../../src/gateway-id.ts';
import { memoryState } from '../support/memory-state.ts';

function setUp() {
  const state = memoryState();
  const warn = vi.fn<typeof silentLogger.warn>();
  const at = (hostName: string, configured = '') =>
    gatewayId({ configured, hostName, state, logger: { ...silentLogger, warn } });
  return { state, warn, at };
}

it('is the name of the host at the first start where the configuration has none', async () => {
  const { at, warn } = setUp();
  expect(await at('plant-4')).toBe('plant-4');
  expect(await at('raspberrypi')).toBe('plant-4');
  expect(warn).not.toHaveBeenCalled();
});

it('is what the configuration says, a change is told, and the last one stays', async () => {
  const { at, warn } = setUp();
  expect(await at('host', 'plant-4')).toBe('plant-4');
  expect(await at('host', 'plant-5')).toBe('plant-5');
  expect(warn.mock.calls.map(([fields]) => fields)).toEqual([
    { before: 'plant-4', now: 'plant-5' },
  ]);
  expect(await at('host')).toBe('plant-5');
});

it('keeps no gateway from starting that cannot store it', async () => {
  const { at, state, warn } = setUp();
  vi.spyOn(state, 'write').mockRejectedValue(new Error('ENOSPC'));
  expect(await at('host')).toBe('host');
  expect(warn).toHaveBeenCalledOnce();
});
