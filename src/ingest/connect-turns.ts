import type { EventEmitter } from 'node:events';

/** A connection from its CONNECT on. */
export interface Connecting extends EventEmitter {
  readonly conn: EventEmitter;
}

interface Turn {
  readonly client: Connecting;
  readonly go: () => void;
}

/**
 * One CONNECT of a client id at a time: of two at the same moment, each would take over from a
 * third, and both would live [MQTT-3.1.4-2].
 */
export class ConnectTurns {
  /** By client id: whose turn it is, and those who wait. */
  readonly #turns = new Map<string, Turn[]>();

  /** Calls `go` when those before are connected or gone. */
  take(clientId: string, client: Connecting, go: () => void): void {
    // The broker makes up a name for it, which nobody else has.
    if (clientId === '') {
      go();
      return;
    }
    const turn = { client, go };
    const before = this.#turns.get(clientId);
    if (before === undefined) {
      this.#turns.set(clientId, [turn]);
      this.#begin(clientId, turn);
    } else before.push(turn);
  }

  #begin(clientId: string, { client, go }: Turn): void {
    const over = () => {
      client.off('connected', over);
      client.conn.off('close', over);
      this.#next(clientId);
    };
    client.on('connected', over);
    client.conn.on('close', over);
    go();
  }

  #next(clientId: string): void {
    const turns = this.#turns.get(clientId) ?? [];
    turns.shift();
    const [next] = turns;
    if (next === undefined) this.#turns.delete(clientId);
    else this.#begin(clientId, next);
  }
}
