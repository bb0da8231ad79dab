import { once } from 'node:events';
import { createServer as createHttp, type Server as HttpServer } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTls } from 'node:tls';
import { Aedes } from 'aedes';
import { afterEach, describe, expect, test } from 'vitest';
import { createWebSocketStream, WebSocketServer } from 'ws';
import type { CloudLink } from '../../../src/uplink/cloud-link.ts';
import { mqttCloud, type TlsOptions } from '../../../src/uplink/mqtt-link.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { LOCAL_CERTIFICATE, LOCAL_KEY, OTHER_CERTIFICATE, OTHER_KEY } from '../../support/pems.ts';
import { until } from '../../support/until.ts';

// How the MQTT of the uplink travels: websockets, and what TLS is told. And what a cloud says of
// itself in MQTT 5.

const closers: Array<() => Promise<unknown>> = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function portOf(server: Server | HttpServer): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

async function broker(): Promise<{ readonly aedes: Aedes; readonly heard: string[] }> {
  const aedes = await Aedes.createBroker();
  closers.push(() => new Promise<void>((resolve) => aedes.close(() => resolve())));
  const heard: string[] = [];
  aedes.on('publish', ({ topic, payload }, client) => {
    if (client !== null) heard.push(`${topic} ${payload}`);
  });
  return { aedes, heard };
}

async function openLink(
  url: string,
  tls: TlsOptions = {},
  more: { protocolVersion?: 4 | 5; keepaliveSeconds?: number } = {},
): Promise<CloudLink> {
  const open = mqttCloud({
    url,
    clientId: 'gw',
    username: '',
    password: undefined,
    protocolVersion: 4,
    keepaliveSeconds: 60,
    connectTimeoutMs: 5_000,
    ackTimeoutMs: 5_000,
    clock: new FakeClock(),
    tls,
    ...more,
  });
  const link = await open(new AbortController().signal);
  closers.push(() => link.close());
  return link;
}

const reading = {
  topic: 'a/b',
  payload: new TextEncoder().encode('21.5'),
  key: 'd',
  id: 'i',
  properties: {},
};
const IDENTITY = { cert: LOCAL_CERTIFICATE, key: LOCAL_KEY };

/** What each handshake asked for. */
interface Asked {
  readonly name: string | false | null;
  readonly protocol: string | false | null;
}

describe('websockets', () => {
  /** Takes websockets at one path alone. */
  async function serve(server: HttpServer, path: string) {
    const { aedes, heard } = await broker();
    const sockets = new WebSocketServer({ server, path, perMessageDeflate: true });
    const extensions: string[] = [];
    sockets.on('connection', (socket, request) => {
      extensions.push(socket.extensions);
      aedes.handle(createWebSocketStream(socket), request);
    });
    return { port: await portOf(server), heard, extensions };
  }

  test('ws:// with a path', async () => {
    const { port, heard, extensions } = await serve(createHttp(), '/cloud/mqtt');
    const link = await openLink(`ws://127.0.0.1:${port}/cloud/mqtt`);
    await link.publish(reading);
    expect(heard).toEqual(['a/b 21.5']);
    // What is in a batch is compressed already.
    expect(extensions).toEqual(['']);
    await expect(openLink(`ws://127.0.0.1:${port}/elsewhere`)).rejects.toThrow('400');
  });

  test('wss:// trusts who it is told to trust, and asks for a name and a protocol', async () => {
    const asked: Asked[] = [];
    const server = createHttps({ ...IDENTITY, ALPNProtocols: ['x-mqtt'] });
    server.on('secureConnection', ({ servername, alpnProtocol }) => {
      asked.push({ name: servername ?? null, protocol: alpnProtocol });
    });
    const { port, heard } = await serve(server, '/mqtt');
    const url = `wss://127.0.0.1:${port}/mqtt`;
    const ca = LOCAL_CERTIFICATE;
    const link = await openLink(url, { ca, serverName: 'localhost', alpn: 'x-mqtt' });
    await link.publish(reading);
    expect(heard).toEqual(['a/b 21.5']);
    expect(asked).toEqual([{ name: 'localhost', protocol: 'x-mqtt' }]);
    await expect(openLink(url, { serverName: 'localhost' })).rejects.toThrow('self-signed');
    await expect(openLink(url, { ca, serverName: 'other' })).rejects.toThrow('Host: other');
  });
});

describe('TLS', () => {
  async function serve(options: { requestCert?: boolean } = {}) {
    const { aedes, heard } = await broker();
    const asked: Asked[] = [];
    const server = createTls(
      {
        ...IDENTITY,
        ALPNProtocols: ['x-amzn-mqtt-ca'],
        ca: [OTHER_CERTIFICATE],
        ...options,
      },
      (socket) => {
        asked.push({ name: socket.servername ?? null, protocol: socket.alpnProtocol });
        aedes.handle(socket);
      },
    );
    return { url: `mqtts://127.0.0.1:${await portOf(server)}`, heard, asked };
  }

  test('the server sees the name and the protocol', async () => {
    const { url, asked, heard } = await serve();
    const tls = { ca: LOCAL_CERTIFICATE, serverName: 'localhost', alpn: 'x-amzn-mqtt-ca' };
    await (await openLink(url, tls)).publish(reading);
    expect(asked).toEqual([{ name: 'localhost', protocol: 'x-amzn-mqtt-ca' }]);
    expect(heard).toEqual(['a/b 21.5']);
    // Another protocol is none that this server has.
    await expect(openLink(url, { ...tls, alpn: 'mqtt' })).rejects.toThrow(/alert|protocol/);
  });

  test('without them the name is the host of the URL, and no protocol is asked for', async () => {
    const { url, asked } = await serve();
    const tls = { ca: LOCAL_CERTIFICATE, serverName: '', alpn: '' };
    await openLink(url.replace('127.0.0.1', 'localhost'), tls);
    expect(asked).toEqual([{ name: 'localhost', protocol: false }]);
  });

  test('who has no certificate, or another one, is not let in', async () => {
    const { url, heard } = await serve({ requestCert: true });
    const ca = LOCAL_CERTIFICATE;
    await expect(openLink(url, { ca })).rejects.toThrow();
    await expect(openLink(url, { ca, ...IDENTITY })).rejects.toThrow();
    const link = await openLink(url, { ca, cert: OTHER_CERTIFICATE, key: OTHER_KEY });
    await link.publish(reading);
    expect(heard).toEqual(['a/b 21.5']);
  });
});

describe('what a cloud of MQTT 5 says of itself', () => {
  /** Answers a CONNECT with these properties, and keeps a list of the packets behind it. */
  async function answering(properties: readonly number[]) {
    const types: number[] = [];
    const server = createServer((socket) => {
      socket.once('data', () => {
        socket.write(
          Buffer.of(0x20, 3 + properties.length, 0, 0, properties.length, ...properties),
        );
        socket.on('data', ([first = 0]) => types.push(first >> 4));
      });
    });
    return { url: `mqtt://127.0.0.1:${await portOf(server)}`, types };
  }

  const open = (url: string) => openLink(url, {}, { protocolVersion: 5, keepaliveSeconds: 65_535 });

  test('how much it takes', async () => {
    const { url } = await answering([0x21, 0, 20, 0x27, 0, 2, 0, 0]);
    expect(await open(url)).toMatchObject({ receiveMaximum: 20, maximumSizeBytes: 131_072 });
  });

  test('its own keepalive is kept to', async () => {
    const { url, types } = await answering([0x13, 0, 1]);
    await open(url);
    const PINGREQ = 12;
    await until('a ping', () => types.includes(PINGREQ));
  });

  test('QoS 0 alone is no uplink, and it says why', async () => {
    const { url } = await answering([0x24, 0]);
    await expect(open(url)).rejects.toThrow('QoS 0 alone');
    await open((await answering([0x24, 1])).url);
  });

  test('it need not retain', async () => {
    await open((await answering([0x25, 0])).url);
  });
});
