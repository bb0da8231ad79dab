import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { LossyProxy, type ProxyOptions } from '../support/lossy-proxy.ts';
import { until } from '../support/until.ts';

/** One side of a connection: what it has read, and how it ended. */
class End {
  readonly socket: Socket;
  text = '';
  end: 'fin' | 'reset' | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text) => {
      this.text += text;
    });
    socket.on('end', () => {
      this.end ??= 'fin';
    });
    socket.on('error', () => {
      this.end = 'reset';
    });
  }

  has(text: string): Promise<void> {
    return until(`"${text}" arrives`, () => this.text === text);
  }
}

let server: Server;
let farPort = 0;
const proxies: LossyProxy[] = [];
const sockets: Socket[] = [];
/** Far ends, in the order in which they were connected to. */
let far: End[] = [];

beforeEach(async () => {
  server = createServer((socket) => {
    sockets.push(socket);
    far.push(new End(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  farPort = typeof address === 'object' && address !== null ? address.port : 0;
});

afterEach(async () => {
  for (const proxy of proxies.splice(0)) await proxy.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  far = [];
  await new Promise((resolve) => server.close(resolve));
});

async function proxyTo(options: Omit<ProxyOptions, 'toPort'> = {}): Promise<LossyProxy> {
  const proxy = await LossyProxy.start({ toPort: farPort, ...options });
  proxies.push(proxy);
  return proxy;
}

function dial(proxy: LossyProxy): End {
  const socket = connect(proxy.port, '127.0.0.1');
  sockets.push(socket);
  return new End(socket);
}

/** Both ends of a new connection. */
async function pair(proxy: LossyProxy): Promise<[near: End, farEnd: End]> {
  const count = far.length;
  const near = dial(proxy);
  await until('it is connected', () => far.length > count);
  return [near, far[count] as End];
}

describe('the lossy proxy', () => {
  it('passes bytes both ways, counts them, and ends with FIN', async () => {
    const proxy = await proxyTo();
    const [a, farA] = await pair(proxy);
    const [b, farB] = await pair(proxy);
    a.socket.write('hello');
    b.socket.write('hi');
    await farA.has('hello');
    await farB.has('hi');
    farA.socket.write('yes');
    await a.has('yes');
    expect(proxy.connections.map(({ passed }) => passed)).toEqual([
      { up: 5, down: 3 },
      { up: 2, down: 0 },
    ]);
    expect(proxy.passed).toEqual({ up: 7, down: 3 });
    a.socket.end('bye');
    await until('the far side sees the end', () => farA.end !== undefined);
    expect({ end: farA.end, text: farA.text }).toEqual({ end: 'fin', text: 'hellobye' });
    await until('it is closed', () => proxy.connections[0]?.isOpen === false);
    expect(proxy.connections[1]?.isOpen).toBe(true);
  });

  it('delays each direction, and keeps the order', async () => {
    const proxy = await proxyTo({ delayMs: 60 });
    const [near, end] = await pair(proxy);
    const startMs = systemClock.monoMs();
    for (const text of ['1', '2', '3']) near.socket.write(text);
    await end.has('123');
    expect(systemClock.monoMs() - startMs).toBeGreaterThanOrEqual(60);
    end.socket.write('4');
    await near.has('4');
    expect(systemClock.monoMs() - startMs).toBeGreaterThanOrEqual(120);
  });

  it('stalls at a lost segment, and the rest behind it', async () => {
    const proxy = await proxyTo({ lossShare: 0.5, retransmitMs: 150, delayMs: 10, seed: 3 });
    const [near, end] = await pair(proxy);
    const sent = Array.from({ length: 30 }, (_, i) => String(i % 10).repeat(1448)).join('');
    const arrivals: number[] = [];
    end.socket.on('data', () => arrivals.push(systemClock.monoMs()));
    const startMs = systemClock.monoMs();
    near.socket.write(sent);
    await until('all of it arrives', () => end.text.length === sent.length);
    expect(end.text).toBe(sent);
    // 150 ms and twice 10 ms for the retransmit, 10 ms for the way.
    expect((arrivals.at(-1) ?? 0) - startMs).toBeGreaterThanOrEqual(180);
  });

  it('cuts in the middle of what is sent, with a reset, to both sides', async () => {
    const proxy = await proxyTo();
    const [near, end] = await pair(proxy);
    near.socket.write('before');
    await end.has('before');
    proxy.cut(4);
    near.socket.write('and after');
    await until('both see it', () => near.end !== undefined && end.end !== undefined);
    // Some kernels tell the reader of a reset only that it is over, if there was still something.
    expect([near.end, end.text]).toEqual(['reset', 'beforeand ']);
    const [again, farAgain] = await pair(proxy);
    again.socket.write('more than four');
    await farAgain.has('more than four');
    proxy.cut();
    await until('at once', () => again.end === 'reset' && farAgain.end === 'reset');
  });

  it('freezes without a word, answers nobody new, and goes on as if nothing had been', async () => {
    const proxy = await proxyTo();
    const [near, end] = await pair(proxy);
    proxy.freeze();
    near.socket.write('up');
    end.socket.write('down');
    near.socket.end();
    const late = dial(proxy);
    late.socket.write('late');
    await until('it is accepted', () => late.socket.readyState === 'open');
    const [other, farOther] = await pair(await proxyTo());
    other.socket.write('meanwhile');
    await farOther.has('meanwhile');
    expect([end.text, end.end, near.text, late.end]).toEqual(['', undefined, '', undefined]);
    expect(far).toHaveLength(2);
    proxy.thaw();
    await end.has('up');
    await near.has('down');
    await until('the end passes too', () => end.end === 'fin');
    await until('the new one is through', () => far[2]?.text === 'late');
  });

  it('refuses while it is frozen, if it is to', async () => {
    const proxy = await proxyTo();
    proxy.freeze('refused');
    const near = dial(proxy);
    await until('it is turned away', () => near.end === 'reset');
    expect([proxy.refused, far.length]).toEqual([1, 0]);
    proxy.thaw();
    const [again, end] = await pair(proxy);
    again.socket.write('x');
    await end.has('x');
  });

  it('swallows what the far side answers until the link ends', async () => {
    const proxy = await proxyTo();
    const [near, end] = await pair(proxy);
    proxy.dropAnswers();
    end.socket.write('lost');
    near.socket.write('sent');
    await end.has('sent');
    end.socket.end('lost too');
    await until('the end of the far side passes', () => near.end === 'fin');
    expect([near.text, proxy.passed.down]).toEqual(['', 0]);
    const [again, farAgain] = await pair(proxy);
    farAgain.socket.write('heard');
    await again.has('heard');
  });

  it('holds a rate, and takes no more of the sender than its buffer', async () => {
    const proxy = await proxyTo({ bytesPerSecond: 1_000_000, bufferBytes: 10_000 });
    const [near, end] = await pair(proxy);
    const SIZE = 400_000;
    let most = 0;
    end.socket.on('data', () => {
      most = Math.max(most, proxy.connections[0]?.waitingBytes ?? Number.NaN);
    });
    const startMs = systemClock.monoMs();
    near.socket.write('x'.repeat(SIZE));
    await until('all of it arrives', () => end.text.length === SIZE);
    expect(systemClock.monoMs() - startMs).toBeGreaterThanOrEqual(399);
    // One read of the proxy's is up to 64 KiB.
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(10_000 + 65_536);
  });
});
