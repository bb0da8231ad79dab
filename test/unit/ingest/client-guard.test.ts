import { generate, type Packet } from 'mqtt-packet';
import { expect, onTestFinished, test, vi } from 'vitest';
import { connectPacket, PING, publishPacket, subscribePacket } from './broker-fixture.ts';
import { guarded } from './guard-fixture.ts';

function bytesOf(packet: object): Buffer {
  return generate(packet as Packet);
}

test('a packet that comes on is no silence, though it takes longer than the keepalive', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { client, parsed, onSilence } = guarded({ keepaliveMs: 1_500 });
  client.emit('connected');
  for (const byte of bytesOf(publishPacket('x', { qos: 0 }))) {
    vi.advanceTimersByTime(1_400);
    parsed.parse(Buffer.from([byte]));
  }
  expect(onSilence).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_600);
  expect(onSilence).toHaveBeenCalledTimes(1);
});

test('64 packets are held until a CONNECT is answered, and then its socket waits', () => {
  const { client, parsed, heard } = guarded({ connected: false });
  parsed.parse(bytesOf(connectPacket('c', 4)));
  for (let i = 0; i < 63; i++) parsed.parse(bytesOf(PING));
  expect(client.pause).not.toHaveBeenCalled();
  parsed.parse(bytesOf(PING));
  expect(client.pause).toHaveBeenCalled();
  expect(heard.map(({ cmd }) => cmd)).toEqual(['connect']);
  client.emit('connected');
  expect(heard).toHaveLength(65);
  expect(client.resume).toHaveBeenCalledTimes(1);
});

test('long filters that are given up make room for others', () => {
  const { client, parsed, failed } = guarded();
  client.emit('connected');
  for (const letter of 'abc') {
    const filter = letter.repeat(60_000);
    parsed.parse(bytesOf(subscribePacket(filter)));
    parsed.parse(bytesOf({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: [filter] }));
  }
  expect(failed).toEqual([]);
  for (const letter of 'abc') parsed.parse(bytesOf(subscribePacket(letter.repeat(60_000))));
  expect(failed).toEqual(['too many subscriptions']);
});

test('half a packet takes no room any more when its connection is closed', () => {
  const { client, parsed, half } = guarded();
  client.emit('connected');
  parsed.parse(bytesOf(publishPacket('x'.repeat(1_000), { qos: 0 })).subarray(0, 500));
  const other = { isRead: true, late: () => {} };
  expect(half.note(other, 1e9, 0)).toBe(false);
  client.conn.emit('close');
  half.forget(other);
  expect(half.note(other, 1e9, 0)).toBe(true);
  half.forget(other);
});

test('half a packet is late, unless it is we who do not read its socket', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const guards = [{}, { _paused: true }, { _parsingBatch: 1 }].map((state) => {
    const guard = guarded();
    Object.assign(guard.client, state);
    guard.client.emit('connected');
    guard.parsed.parse(bytesOf(publishPacket('x'.repeat(1_000), { qos: 0 })).subarray(0, 500));
    return guard;
  });
  vi.advanceTimersByTime(180_000);
  const late = 'the rest of a packet did not come in time';
  expect(guards.map(({ failed }) => failed.includes(late))).toEqual([true, false, false]);
  for (const { client } of guards) client.conn.emit('close');
});

test('acknowledgements that are not read have as long as other packets, and as much room', () => {
  const { client, parsed } = guarded();
  client.emit('connected');
  Object.assign(client.conn, { writableNeedDrain: true, writableLength: 1 });
  for (let i = 0; i < 3; i++) parsed.parse(bytesOf(PING));
  expect(client.waitForDrain).toHaveBeenCalledTimes(1);
  expect(client.conn.destroy).not.toHaveBeenCalled();
  Object.assign(client.conn, { writableLength: 2 });
  parsed.parse(bytesOf(PING));
  expect(client.conn.destroy).toHaveBeenCalledTimes(1);
});

test('nobody waits for a socket that has room', () => {
  const { client, parsed } = guarded();
  client.emit('connected');
  parsed.parse(bytesOf(PING));
  expect(client.waitForDrain).not.toHaveBeenCalled();
});
