import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Closing } from '../../../src/audit/closing.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { AuditedGateway, LATE_MS } from '../../support/audited-gateway.ts';
import { until } from '../../support/until.ts';

// What is in the log before there are books of it.

let gateway: AuditedGateway;

beforeEach(() => {
  gateway = new AuditedGateway();
});

afterEach(async () => {
  await gateway.stop();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function publish(count: number, from = 0): Promise<void> {
  for (let i = from; i < from + count; i++) {
    expect(await gateway.publish('d', JSON.stringify({ id: `r-${i}` }))).toBe(true);
  }
}

const forget = (isForgotten: (key: string) => boolean) => {
  for (const key of [...gateway.state.stored.keys()]) {
    if (isForgotten(key)) gateway.state.stored.delete(key);
  }
};

const sums = async () => (await gateway.report()).totals['readings'];

async function isBalanced(): Promise<void> {
  expect((await gateway.report()).unbalanced).toEqual([]);
}

describe('the first start on a log from before', () => {
  it('opens with what the uplink has still to send, and balances from then on', async () => {
    await gateway.start({ uplink: true });
    await publish(5);
    for (let i = 0; i < 2; i++) {
      await gateway.send(1);
      gateway.ack(() => true);
    }
    await gateway.stop();
    forget((key) => key.startsWith('audit/'));
    await gateway.start();
    expect(await sums()).toMatchObject({ received: 0, stored: 0, opening: 3, backlog: 3 });
    await publish(2, 5);
    await isBalanced();
    await gateway.drain();
    await gateway.close();
    expect(await sums()).toMatchObject({ stored: 2, opening: 3, cloudAcked: 5, backlog: 0 });
    await isBalanced();
    expect(gateway.parts.keeper.status()).toMatchObject({ openBuckets: 0 });
  });

  it('that is killed at once opens the same books again', async () => {
    await gateway.start({ uplink: true });
    await publish(3);
    await gateway.stop();
    forget((key) => key.startsWith('audit/'));
    await gateway.start();
    await gateway.kill();
    await gateway.start();
    expect(await sums()).toMatchObject({ opening: 3, stored: 0, backlog: 3 });
  });

  it('gives no entry a number that an entry has, though all state is lost', async () => {
    await gateway.start({ uplink: true });
    await publish(3);
    await gateway.drain();
    await gateway.close();
    const before = (await gateway.entries()).map(({ n }) => n);
    expect(before.length).toBeGreaterThan(0);
    await gateway.stop();
    forget(() => true);
    await gateway.start();
    // The cloud gets everything that is kept once more.
    expect(await sums()).toMatchObject({ opening: 3, backlog: 3 });
    await gateway.drain();
    await gateway.close();
    const numbers = (await gateway.entries()).map(({ n }) => n);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(numbers.length).toBeGreaterThan(before.length);
    await isBalanced();
  });
});

describe('an uplink that is switched on', () => {
  it('later has to send what is kept, once in the books as such', async () => {
    await gateway.start({ uplink: false });
    await publish(4);
    await gateway.close();
    expect(await sums()).toMatchObject({ stored: 4, notForwarded: 4, cloudAcked: 0 });
    await publish(2, 4);
    await isBalanced();
    await gateway.stop();
    await gateway.start({ uplink: true });
    expect(await sums()).toMatchObject({ stored: 6, notForwarded: 6, opening: 6, backlog: 6 });
    await publish(1, 6);
    await isBalanced();
    await gateway.drain();
    await gateway.close();
    expect(await sums()).toMatchObject({ stored: 7, notForwarded: 6, opening: 6, cloudAcked: 7 });
    await isBalanced();
  });

  it('again goes on where it was switched off', async () => {
    await gateway.start({ uplink: true });
    await publish(4);
    await gateway.send(1);
    gateway.ack(() => true);
    await gateway.stop();
    await gateway.start({ uplink: false });
    await publish(2, 4);
    await gateway.close();
    await isBalanced();
    await gateway.stop();
    await gateway.start({ uplink: true });
    // Three that were not sent then, and two that came meanwhile.
    expect(await sums()).toMatchObject({ stored: 6, cloudAcked: 1, notForwarded: 5, opening: 5 });
    await gateway.drain();
    await gateway.close();
    expect(await sums()).toMatchObject({ cloudAcked: 6, backlog: 0 });
    await isBalanced();
  });
});

describe('an entry that is durable when the gateway is killed', () => {
  it('is not written again, and nothing of it is counted twice', async () => {
    await gateway.start({ uplink: true });
    await publish(3);
    await gateway.drain();
    await gateway.parts.checkpoints.save();
    await gateway.close();
    const before = await gateway.entries();
    expect(before.map(({ counts }) => counts.stored)).toEqual([3]);
    await gateway.kill();
    await gateway.start();
    expect(gateway.parts.keeper.status().openBuckets).toBe(0);
    await gateway.close();
    expect((await gateway.entries()).filter(({ stream }) => stream === 'readings')).toEqual(before);
    expect(await sums()).toMatchObject({ stored: 3, cloudAcked: 3 });
  });
});

describe('books that begin anew', () => {
  it('since a head was not readable are warned of, with its key', async () => {
    await gateway.start({ uplink: true });
    await publish(2);
    await gateway.stop();
    const key = [...gateway.state.stored.keys()].find((one) => one.endsWith('/readings')) ?? '';
    expect(key).toMatch(/^audit\//);
    gateway.state.stored.set(key, '{');
    const warn = vi.fn<typeof silentLogger.warn>();
    await gateway.start({ uplink: true, logger: { ...silentLogger, warn } });
    expect(warn.mock.calls).toMatchObject([
      [{ key }, 'a saved part of the books is not readable: it is lost'],
    ]);
  });
});

it('logs a look for what is late that fails, and looks again', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const look = vi.spyOn(Closing.prototype, 'look').mockRejectedValueOnce(new Error('broken'));
  const error = vi.fn<typeof silentLogger.error>();
  await gateway.start({ logger: { ...silentLogger, error } });
  vi.advanceTimersByTime(LATE_MS);
  await until('it is logged', () => error.mock.calls.length > 0);
  expect(error.mock.calls).toMatchObject([
    [{ error: 'broken' }, 'a look for what is late in the books failed: the next one tries again'],
  ]);
  vi.advanceTimersByTime(LATE_MS);
  expect(look).toHaveBeenCalledTimes(2);
});
