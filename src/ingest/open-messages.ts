/** Told once whether a message may be acknowledged. */
export type Settle = (error: Error | undefined) => void;

/** A QoS 2 message between its PUBLISH and its PUBREL. */
export class OpenMessage {
  /** Copies of it that wait for the first; null once that is durable. */
  #waiting: Settle[] | null = [];

  /** For a copy: told when the first is durable, or that it is not. */
  wait(settle: Settle): void {
    if (this.#waiting === null) settle(undefined);
    else this.#waiting.push(settle);
  }

  end(error: Error | undefined): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = error === undefined ? null : [];
    for (const settle of waiting) settle(error);
  }
}

/**
 * The open QoS 2 messages of each client. A PUBLISH that comes again meanwhile must not be taken a
 * second time [MQTT-4.3.3-10], and must not be answered before the first one is durable.
 */
export class OpenMessages {
  readonly #clients = new Map<string, Map<number, OpenMessage>>();

  find(client: string, messageId: number): OpenMessage | undefined {
    return this.#clients.get(client)?.get(messageId);
  }

  /** A new message, in the place of any that had its id. `ended` is to be called. */
  open(client: string, messageId: number): OpenMessage {
    let messages = this.#clients.get(client);
    if (messages === undefined) {
      messages = new Map();
      this.#clients.set(client, messages);
    }
    const message = new OpenMessage();
    messages.set(messageId, message);
    return message;
  }

  /** It is durable; or it is not, and its id is free again. */
  ended(client: string, messageId: number, message: OpenMessage, error: Error | undefined): void {
    // The session may have been wiped meanwhile, and the id may be another message's by now.
    if (error !== undefined && this.find(client, messageId) === message) {
      this.close(client, messageId);
    }
    message.end(error);
  }

  close(client: string, messageId: number): void {
    const messages = this.#clients.get(client);
    messages?.delete(messageId);
    if (messages?.size === 0) this.#clients.delete(client);
  }

  has(client: string): boolean {
    return this.#clients.has(client);
  }

  forget(client: string): void {
    this.#clients.delete(client);
  }
}
