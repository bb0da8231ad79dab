import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { mqttCloud } from '../../../src/uplink/mqtt-link.ts';

let server: Server | undefined;
const sockets = new Set<Socket>();
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server?.close();
});

/** Says this in its CONNACK, and to each PUBLISH what `answer` makes of its packet id. */
async function brokerSaying(properties: number[], answer: (id: number) => number[] | Buffer) {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let isConnected = false;
    socket.on('data', (bytes) => {
      if (!isConnected) {
        isConnected = true;
        const body = [0, 0, properties.length, ...properties];
        socket.write(Buffer.from([0x20, body.length, ...body]));
        return;
      }
      // A single small PUBLISH a packet: topic, id.
      if (bytes[0] !== 0x32) return;
      const topicLength = bytes.readUInt16BE(2);
      socket.write(Buffer.from(answer(bytes.readUInt16BE(4 + topicLength))));
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return mqttCloud({
    url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ clientId: 'gw', username: '', password: undefined, protocolVersion: 5 },
    ...{ keepaliveSeconds: 30, connectTimeoutMs: 2_000, ackTimeoutMs: 1_000 },
    ...{ clock: systemClock, tls: {} },
  });
}

const message = {
  ...{ topic: 't', payload: Buffer.from('1'), key: 'd', id: 'i', properties: {} },
};

// MQTT 5, 3.2.2.3: a faulty CONNACK would set the whole backlog aside as too large.
it.each([
  ['packets of 0 bytes', [0x27, 0, 0, 0, 0]],
  ['packets of 1,023 bytes', [0x27, 0, 0, 3, 255]],
  ['0 publishes at a time', [0x21, 0, 0]],
])('a cloud that takes %s is no link', async (_, properties) => {
  const open = await brokerSaying(properties, () => []);
  await expect(open(AbortSignal.timeout(3_000))).rejects.toThrow();
});

const GARBAGE: ReadonlyArray<readonly [string, (id: number) => number[]]> = [
  ['a PUBACK of an unknown id', (id) => [0x40, 2, 0xff, 0xfe, 0x40, 2, id >> 8, id & 255]],
  ['a PUBACK of id 0', (id) => [0x40, 2, 0, 0, 0x40, 2, id >> 8, id & 255]],
  ['a PUBACK twice', (id) => [0x40, 2, id >> 8, id & 255, 0x40, 2, id >> 8, id & 255]],
  ['a PUBREC', (id) => [0x50, 2, id >> 8, id & 255]],
  ['a PUBCOMP', (id) => [0x70, 2, id >> 8, id & 255]],
  ['a SUBACK', (id) => [0x90, 4, id >> 8, id & 255, 0, 1]],
  ['an UNSUBACK', (id) => [0xb0, 4, id >> 8, id & 255, 0, 0]],
  ['a PUBACK that is cut short', () => [0x40, 1, 0]],
  ['a second CONNACK', () => [0x20, 3, 0, 0, 0]],
  ['an AUTH', () => [0xf0, 2, 0x18, 0]],
  ['garbage', () => [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ['a PUBLISH of QoS 3', () => [0x36, 4, 0, 1, 0x74, 0]],
];
it.each(GARBAGE)('%s neither throws nor hangs', async (_, answer) => {
  const open = await brokerSaying([], answer);
  const link = await open(AbortSignal.timeout(3_000));
  await Promise.race([link.publish(message), link.publish(message)]).catch(() => {});
  await link.publish(message).catch(() => {});
  await link.close();
});
