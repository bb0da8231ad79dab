/** The part of a client that is looked at here. */
interface Pausable {
  pause(): void;
  resume(): void;
}

interface Published {
  readonly payload?: { readonly length: number };
}

interface Pressure {
  bytes: number;
  isPaused: boolean;
}

/** Of one client, acknowledged and not yet with all sessions and subscribers. */
const MAX_BYTES = 1024 * 1024;

/**
 * A publisher is read from no further while much of what it sent waits for the session store: its
 * acknowledgements went out before, and by itself it would go on.
 */
export class PublisherPressure {
  readonly #clients = new WeakMap<object, Pressure>();

  begin(client: unknown, packet: unknown): void {
    const { bytes, pressure } = this.#of(client, packet);
    if (pressure === undefined) return;
    pressure.bytes += bytes;
    if (pressure.bytes <= MAX_BYTES || pressure.isPaused) return;
    pressure.isPaused = true;
    (client as Pausable).pause();
  }

  end(client: unknown, packet: unknown): void {
    const { bytes, pressure } = this.#of(client, packet);
    if (pressure === undefined) return;
    pressure.bytes -= bytes;
    if (!pressure.isPaused || pressure.bytes > MAX_BYTES / 2) return;
    pressure.isPaused = false;
    (client as Pausable).resume();
  }

  #of(client: unknown, packet: unknown): { bytes: number; pressure: Pressure | undefined } {
    const bytes = (packet as Published).payload?.length ?? 0;
    if (typeof client !== 'object' || client === null) return { bytes, pressure: undefined };
    let pressure = this.#clients.get(client);
    if (pressure === undefined) {
      pressure = { bytes: 0, isPaused: false };
      this.#clients.set(client, pressure);
    }
    return { bytes, pressure };
  }
}
