import { EventEmitter } from 'node:events';
import { type Packet, parser } from 'mqtt-packet';
import { vi } from 'vitest';
import { ClientGuard, type GuardedClient } from '../../../src/ingest/client-guard.ts';
import { ConnectTurns } from '../../../src/ingest/connect-turns.ts';
import { HalfPackets } from '../../../src/ingest/half-packets.ts';
import { SlowReaders } from '../../../src/ingest/slow-readers.ts';

/** A guard before a client that is all made up but its parser. */
export function guarded({ connected = true, keepaliveMs = 0 } = {}) {
  const parsed = parser({ protocolVersion: 4 });
  const client = Object.assign(new EventEmitter(), {
    subscriptions: {},
    _parser: parsed,
    _parsingBatch: 0,
    _keepaliveInterval: keepaliveMs,
    _keepaliveTimer: keepaliveMs > 0 ? setTimeout(() => {}, keepaliveMs) : null,
    conn: Object.assign(new EventEmitter(), { writableNeedDrain: false, destroy: vi.fn() }),
    _drainTimer: null as unknown,
    waitForDrain: vi.fn(() => {
      client._drainTimer = {};
    }),
    closed: false,
    connected,
    pause: vi.fn(),
    resume: vi.fn(),
  });
  const heard: Packet[] = [];
  parsed.on('packet', (packet) => heard.push(packet));
  const failed: string[] = [];
  client.on('error', ({ message }: Error) => failed.push(message));
  const onSilence = vi.fn();
  const half = new HalfPackets({ maxBytes: 1e9, withinMs: 60_000 });
  new ClientGuard(client as unknown as GuardedClient, {
    maxSubscriptions: 10,
    maxConnectBytes: 1_000,
    halfPackets: half,
    slowReaders: new SlowReaders({ maxClientBytes: 1, maxBytes: 1 }),
    turns: new ConnectTurns(),
    isOwed: () => false,
    onSilence,
  });
  const { _list: list } = client._parser as unknown as { _list: { getBuffers(): unknown[] } };
  const chunks = () => list.getBuffers().length;
  return { client, parsed, heard, half, failed, onSilence, chunks };
}
