import type { EventEmitter } from 'node:events';

/** A connection from its CONNECT on. */
export interface Connecting extends EventEmitter {
  readonly closed: boolean;
  readonly conn: EventEmitter & { readonly destroyed: boolean };
}

interface Turn {
  readonly client: Connecting;
  readonly go: () => void;
  readonly over: () => void;
}

/** The broker answers no CONNECT of it any more. */
function isGone({ client }: Turn): boolean {
  return client.closed || client.conn.destroyed;
}

/**
 * One CONNECT of a client id at a time: of two at the same moment, each would take over from a
 * third, and both would live [MQTT-3.1.4-2].
 */
export class ConnectTurns {
  /** By client id: whose turn it is, and those who wait. */
  readonly #turns = new Map<string, Turn[]>();

  /** Calls `go` when those before are connected or gone, unless the client itself is gone then. */
  take(clientId: string, client: Connecting, go: () => void): void {
    // The broker makes up a name for it, which nobody else has.
    if (clientId === '') {
      go();
      return;
    }
    const turn: Turn = { client, go, over: () => this.#over(clientId, turn) };
    if (isGone(turn)) return;
    // From now on, not from its turn on: one that went while it waited would never be over, and
    // nobody of its name would be answered again.
    client.on('connected', turn.over);
    client.conn.on('close', turn.over);
    const before = this.#turns.get(clientId);
    if (before === undefined) {
      this.#turns.set(clientId, [turn]);
      go();
    } else before.push(turn);
  }

  #over(clientId: string, turn: Turn): void {
    turn.client.off('connected', turn.over);
    turn.client.conn.off('close', turn.over);
    const turns = this.#turns.get(clientId) ?? [];
    const at = turns.indexOf(turn);
    if (at < 0) return;
    turns.splice(at, 1);
    if (at > 0) return;
    // Those whose connection is about to close have no turn any more.
    const next = turns.findIndex((other) => !isGone(other));
    turns.splice(0, next < 0 ? turns.length : next);
    if (next < 0) this.#turns.delete(clientId);
    else turns[0]?.go();
  }
}
