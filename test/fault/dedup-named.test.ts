import { afterEach, describe, expect, it } from 'vitest';
import type { LogRecord } from '../../src/base/reading.ts';
import { cleanUp, temporaryFolder } from '../support/gateway-process.ts';
import { textOf } from '../support/journals.ts';
import { publishPacket, RawClient } from '../unit/ingest/broker-fixture.ts';
import { isBalanced, LocalGateway, stopAll } from './local-gateway.ts';

// The cases that docs/dedup.md names, over real connections to a gateway with real files.

afterEach(async () => {
  await stopAll();
  await cleanUp();
});

type Sent = Record<string, unknown>;

function modeOf(mode: string, more = ''): string {
  return `
streams:
  readings:
    topics: [sensors/<device>/#]
    dedup: { mode: ${mode}${more} }`;
}

/** Publishes that are sent in one go, each acknowledged. */
class Device {
  readonly #client: RawClient;
  readonly #topic: string;
  #packets = 0;

  private constructor(client: RawClient, topic: string) {
    this.#client = client;
    this.#topic = topic;
  }

  static async connect(gateway: LocalGateway, name: string, clientId = name): Promise<Device> {
    const client = await RawClient.connect(gateway.port, clientId);
    return new Device(client, `sensors/${name}/t`);
  }

  async send(bodies: readonly Sent[], rest: object = {}): Promise<void> {
    const { topic } = this;
    const packets = bodies.map((body, i) => {
      const messageId = this.#packets + i + 1;
      return publishPacket(JSON.stringify(body), { topic, messageId, ...rest });
    });
    this.#packets += packets.length;
    this.#client.send(...packets);
    await this.#client.hears('puback', this.#packets);
  }

  /** Without waiting: the link breaks first. */
  sendUnheard(bodies: readonly Sent[]): void {
    const { topic } = this;
    const packets = bodies.map((body, i) =>
      publishPacket(JSON.stringify(body), { topic, messageId: i + 1 }),
    );
    this.#client.send(...packets);
  }

  get topic(): string {
    return this.#topic;
  }

  get pubacks(): number {
    return this.#client.all('puback').length;
  }

  drop(): void {
    this.#client.socket.destroy();
  }

  get closed(): Promise<void> {
    return this.#client.closed;
  }
}

const row = (from: number, to: number, body: (n: number) => Sent) =>
  Array.from({ length: to - from }, (_, i) => body(from + i));

const bodies = (records: readonly LogRecord[]) => records.map((r) => JSON.parse(textOf(r)) as Sent);

describe('a reconnect', () => {
  const name = ['ids', 'numbers'] as const;
  it.each(name)('with DUP=1 or without, stores each of them once (%s)', async (kind) => {
    const gateway = await LocalGateway.start();
    const body = (n: number) => (kind === 'ids' ? { id: `i${n}` } : { boot: 'b', seq: n });
    for (const [round, dup] of [true, false].entries()) {
      const some = row(round * 100, round * 100 + 100, body);
      const first = await Device.connect(gateway, 'a');
      first.sendUnheard(some);
      await gateway.until('some are taken', ({ received }) => received > 0);
      first.drop();
      const again = await Device.connect(gateway, 'a');
      await again.send(some, { dup });
      // And all of it a third time, when it is durable for sure.
      await again.send(some, { dup });
      again.drop();
    }
    expect(bodies(await gateway.records())).toEqual(row(0, 200, body));
    const status = gateway.status();
    expect(status.stored).toBe(200);
    expect(status.duplicates).toBeGreaterThanOrEqual(200);
    expect(isBalanced(status)).toBe(true);
  });

  it('while the first is on its way: acknowledged when that one is durable', async () => {
    const gateway = await LocalGateway.start();
    const release = gateway.files.hold('sync', '/log/telemetry');
    const first = await Device.connect(gateway, 'a');
    first.sendUnheard([{ id: 1 }]);
    await gateway.until('it is taken', ({ received }) => received === 1);
    first.drop();
    const again = await Device.connect(gateway, 'a');
    again.sendUnheard([{ id: 1 }]);
    await gateway.until('the repeat is taken', ({ received }) => received === 2);
    expect(again.pubacks).toBe(0);
    release();
    await gateway.until('both are counted', ({ stored, duplicates }) => stored + duplicates === 2);
    expect(bodies(await gateway.records())).toEqual([{ id: 1 }]);
  });

  it('while the first can’t be stored: neither is acknowledged, the next try is new', async () => {
    const gateway = await LocalGateway.start();
    const release = gateway.files.hold('sync', '/log/telemetry');
    const [first, again] = [
      await Device.connect(gateway, 'a', 'c1'),
      await Device.connect(gateway, 'a', 'c2'),
    ];
    first.sendUnheard([{ id: 1 }]);
    await gateway.until('it is taken', ({ received }) => received === 1);
    again.sendUnheard([{ id: 1 }]);
    await gateway.until('the repeat is taken', ({ received }) => received === 2);
    gateway.files.break({ operations: ['write', 'sync', 'open'], path: '/log/', code: 'EIO' });
    release();
    await Promise.all([first.closed, again.closed]);
    expect([first.pubacks, again.pubacks]).toEqual([0, 0]);
    expect(gateway.status()).toMatchObject({ stored: 0, duplicates: 0, rejected: 2 });
    gateway.files.mend();
    await gateway.until('it takes data again', ({ health }) => health === 'ok');
    const third = await Device.connect(gateway, 'a');
    await third.send([{ id: 1 }]);
    expect(bodies(await gateway.records())).toEqual([{ id: 1 }]);
  });
});

describe('a reboot', () => {
  it('with a boot id: the numbers of both boots, and late repeats of the first', async () => {
    const gateway = await LocalGateway.start({ config: modeOf('sequence') });
    const device = await Device.connect(gateway, 'a');
    const before = row(0, 300, (seq) => ({ boot: 'b1', seq }));
    const after = row(0, 300, (seq) => ({ boot: 'b2', seq }));
    for (const some of [before, after, before, after]) await device.send(some);
    expect(bodies(await gateway.records())).toEqual([...before, ...after]);
  });

  it('without, in mode auto: what it measures anew is new', async () => {
    const gateway = await LocalGateway.start();
    const device = await Device.connect(gateway, 'a');
    const before = row(0, 100, (seq) => ({ seq, value: seq }));
    const after = row(0, 100, (seq) => ({ seq, value: seq + 0.5 }));
    for (const some of [before, after, after, before]) await device.send(some);
    expect(bodies(await gateway.records())).toEqual([...before, ...after]);
  });

  it('without, in mode sequence: falls back behind the window, and is told of', async () => {
    const gateway = await LocalGateway.start({ config: modeOf('sequence') });
    const device = await Device.connect(gateway, 'a');
    const before = row(0, 2_000, (seq) => ({ seq }));
    const after = row(0, 2_000, (seq) => ({ seq, again: true }));
    for (const some of [before, after, after.slice(1_000)]) await device.send(some);
    expect(bodies(await gateway.records())).toEqual([...before, ...after]);
    expect(gateway.status().dedup.resets).toBe(1);
  });
});

it('a counter that wraps goes on', async () => {
  const gateway = await LocalGateway.start({
    config: modeOf('sequence', ', counterBits: 16'),
  });
  const device = await Device.connect(gateway, 'a');
  const before = row(65_000, 65_536, (seq) => ({ boot: 'b', seq }));
  const after = row(0, 600, (seq) => ({ boot: 'b', seq }));
  for (const some of [before, after, before, after]) await device.send(some);
  expect(bodies(await gateway.records())).toEqual([...before, ...after]);
  expect(gateway.status().dedup.resets).toBe(0);
});

it('two devices with one client id take turns, and each has all of its readings', async () => {
  const gateway = await LocalGateway.start();
  const body = (n: number) => ({ id: n });
  for (let turn = 0; turn < 5; turn++) {
    for (const name of ['a', 'b']) {
      const device = await Device.connect(gateway, name, 'the same');
      // What the other one took from it is sent again.
      await device.send(row(Math.max(0, turn * 10 - 5), turn * 10 + 10, body));
    }
  }
  const records = await gateway.records();
  for (const name of ['a', 'b']) {
    const own = records.filter(({ device }) => device === name);
    expect(bodies(own), name).toEqual(row(0, 50, body));
  }
});

it('a batch of a week ago: what was missing is stored, and nothing twice', async () => {
  const folder = temporaryFolder();
  const gateway = await LocalGateway.start({ folder });
  const device = await Device.connect(gateway, 'a');
  const body = (seq: number) => ({ boot: 'b', seq });
  const all = row(0, 6_000, body);
  const isMissing = ({ seq }: Sent) => Number(seq) % 1_000 === 7;
  for (let n = 0; n < all.length; n += 500) {
    await device.send(all.slice(n, n + 500).filter((one) => !isMissing(one)));
  }
  await gateway.stop();
  const again = await LocalGateway.start({ folder });
  const back = await Device.connect(again, 'a');
  for (let n = 0; n < all.length; n += 500) await back.send(all.slice(n, n + 500));
  const found = bodies(await again.records());
  expect(found).toHaveLength(6_000);
  expect(found.slice(-6)).toEqual(all.filter(isMissing));
  expect(again.status()).toMatchObject({ stored: 6, duplicates: 5_994 });
});
