import type { EventEmitter } from 'node:events';

/** The part of an aedes client that is looked at here. */
export interface GuardedClient {
  subscriptions: Record<string, unknown>;
  readonly _parser: EventEmitter & { parse(bytes: Uint8Array): unknown };
  emit(event: 'error', error: Error): unknown;
}

interface Packet {
  readonly cmd: string;
  readonly subscriptions?: ReadonlyArray<{ readonly topic: string }>;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Why a client may not subscribe, or undefined if it may. */
function faultOf(packet: Packet, client: GuardedClient, max: number): string | undefined {
  const wanted = packet.subscriptions ?? [];
  if (Object.keys(client.subscriptions).length + wanted.length > max) {
    return 'too many subscriptions';
  }
  // aedes sorts filters out by name in a plain object, and fails on this one when it restores a
  // session: an exception that nobody catches, at each attempt of the client to come back.
  if (wanted.some(({ topic }) => topic === '__proto__')) return 'no filter may be __proto__';
  return undefined;
}

/**
 * Whatever bytes a client sends, they end no more than its own connection: packets are parsed and
 * handled within one call, and what that throws would otherwise end the process.
 */
export function guardClient(client: GuardedClient, maxSubscriptions: number): void {
  // Looked up by topic: an object with a prototype has subscriptions to `constructor` and such.
  client.subscriptions = Object.create(null) as Record<string, unknown>;
  const parser = client._parser;
  const parse = parser.parse.bind(parser);
  parser.parse = (bytes) => {
    try {
      return parse(bytes);
    } catch (error) {
      client.emit('error', asError(error));
      return 0;
    }
  };
  const handlers = parser.listeners('packet');
  parser.removeAllListeners('packet');
  parser.on('packet', (packet: Packet) => {
    if (packet.cmd === 'subscribe') {
      const fault = faultOf(packet, client, maxSubscriptions);
      if (fault !== undefined) {
        client.emit('error', new Error(fault));
        return;
      }
    }
    for (const handle of handlers) handle.call(parser, packet);
  });
}
