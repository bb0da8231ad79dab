import { generate, type Packet } from 'mqtt-packet';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { mergeChunks } from '../../../src/ingest/chunks.ts';
import { HalfPackets, type HalfSender } from '../../../src/ingest/half-packets.ts';
import {
  accepted,
  connectPacket,
  publishPacket,
  RawClient,
  startBroker,
} from './broker-fixture.ts';
import { guarded } from './guard-fixture.ts';

class Sender implements HalfSender {
  isRead = true;
  late = vi.fn();
}

describe('half packets', () => {
  test('before CONNECT are small', async () => {
    const { port } = await startBroker({ maxPacketBytes: 2 * 1024 * 1024 });
    const client = await RawClient.dial(port);
    // The start of a CONNECT of a megabyte.
    client.write(Buffer.concat([Buffer.from([0x10, 0x80, 0x80, 0x40]), Buffer.alloc(300_000)]));
    await client.closed;
    const will = { topic: 's/w', payload: Buffer.alloc(60_000), qos: 1, retain: false };
    await RawClient.connect(port, 'with-a-will', { will });
  });

  test('have a bound over all clients', () => {
    const half = new HalfPackets({ maxBytes: 100, withinMs: 60_000 });
    const [a, b] = [new Sender(), new Sender()];
    const noted = [half.note(a, 60, 0), half.note(b, 40, 0), half.note(b, 41, 0)];
    expect(noted).toEqual([true, true, false]);
    // Fewer are always fine, and one that goes leaves room.
    expect(half.note(b, 39, 0)).toBe(true);
    half.forget(a);
    expect(half.note(b, 100, 0)).toBe(true);
  });

  test('that become fewer are taken, though all together are still too many', () => {
    const half = new HalfPackets({ maxBytes: 100, withinMs: 60_000 });
    const [a, b] = [new Sender(), new Sender()];
    expect(half.note(a, 90, 0)).toBe(true);
    expect(half.note(b, 60, 0)).toBe(false);
    expect(half.note(a, 80, 0)).toBe(true);
    for (const sender of [a, b]) half.forget(sender);
  });

  test('that do not come on are late, unless it is we who do not read', () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const half = new HalfPackets({ maxBytes: 1e9, withinMs: 1_000 });
    const [stuck, slow, busy, paused] = [0, 1, 2, 3].map(() => new Sender());
    if (!stuck || !slow || !busy || !paused) throw new Error('four');
    paused.isRead = false;
    for (let second = 0; second < 5; second++) {
      half.note(stuck, 10 + second, 0);
      half.note(slow, 10 + 65_536 * second, 0);
      half.note(busy, 10, second);
      half.note(paused, 10, 0);
      vi.advanceTimersByTime(1_000);
      if (second === 0) expect(stuck.late).not.toHaveBeenCalled();
      if (second === 1) expect(stuck.late).toHaveBeenCalled();
    }
    for (const fine of [slow, busy, paused]) expect(fine.late).not.toHaveBeenCalled();
    paused.isRead = true;
    vi.advanceTimersByTime(1_000);
    expect(paused.late).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1_000);
    expect(paused.late).toHaveBeenCalled();
    for (const sender of [stuck, slow, busy, paused]) half.forget(sender);
    vi.advanceTimersByTime(10_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('end their connection, and nobody else', async () => {
    const { port, accepting, logger } = await startBroker({ packetTimeoutMs: 50 });
    const waiting = await RawClient.connect(port, 'waits for its answer');
    const packet = generate(publishPacket('x'.repeat(100), { messageId: 1 }) as Packet);
    waiting.write(Buffer.concat([packet, packet.subarray(0, 50)]));
    await accepting.count(1);
    const half = await RawClient.connect(port, 'half');
    half.write(packet.subarray(0, 50));
    await half.closed;
    expect(logger.with('cut off').map(({ fields }) => fields)).toMatchObject([
      { clientId: 'half', error: 'the rest of a packet did not come in time' },
    ]);
    accepting.answer = accepted;
    await waiting.hears('puback');
    waiting.write(packet.subarray(50));
    await waiting.hears('puback', 2);
  });

  test('are few chunks, however they came, and stay what they are', () => {
    const whole = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251));
    const chunks: Uint8Array[] = [];
    let copied = 0;
    for (let at = 0; at < whole.length; at++) {
      chunks.push(whole.subarray(at, at + 1));
      const before = chunks.length;
      mergeChunks(chunks);
      expect(chunks.length).toBeLessThanOrEqual(64);
      if (chunks.length < before) copied += chunks.at(-1)?.length ?? 0;
    }
    expect(Buffer.concat(chunks).equals(whole)).toBe(true);
    expect(copied).toBeLessThan(20 * whole.length);
  });

  test('that trickle in byte by byte take not much more memory than their bytes', () => {
    const { parsed, heard, half, chunks } = guarded();
    const note = vi.spyOn(half, 'note');
    const payload = 'abcdefgh'.repeat(2_000);
    const bytes = generate(publishPacket(payload, { qos: 0 }) as Packet);
    let most = 0;
    for (const byte of bytes) {
      parsed.parse(Buffer.from([byte]));
      most = Math.max(most, chunks());
    }
    expect(most).toBeLessThanOrEqual(64);
    expect(heard).toMatchObject([{ cmd: 'publish', payload: Buffer.from(payload) }]);
    expect(note).toHaveBeenLastCalledWith(expect.anything(), 0, 1);
  });

  test('behind a CONNECT wait in the socket until it is answered', () => {
    const { client, parsed, failed } = guarded({ connected: false });
    const large = generate(publishPacket('x'.repeat(10_000), { qos: 0 }) as Packet);
    parsed.parse(generate(connectPacket('c', 4) as Packet));
    parsed.parse(large.subarray(0, 900));
    expect(client.pause).not.toHaveBeenCalled();
    parsed.parse(large.subarray(900, 2_000));
    expect(client.pause).toHaveBeenCalledTimes(1);
    expect(client.resume).not.toHaveBeenCalled();
    client.emit('connected');
    expect(client.resume).toHaveBeenCalledTimes(1);
    expect(failed).toEqual([]);
  });

  test.each([4, 5] as const)(
    'version %i: a large reading right behind its CONNECT is taken',
    async (version) => {
      const { port, accepting } = await startBroker({ maxPacketBytes: 2 ** 21 });
      accepting.answer = accepted;
      const client = await RawClient.dial(port, version);
      const text = 'x'.repeat(1_000_000);
      client.send(connectPacket('c', version), publishPacket(text, { messageId: 1 }));
      await client.hears('puback');
      expect(accepting.texts).toEqual([text]);
    },
  );
});
