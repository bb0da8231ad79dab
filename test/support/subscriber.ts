import { connect } from 'mqtt';

export interface SubscriberOptions {
  readonly url: string;
  readonly clientId: string;
  readonly reconnectMs?: number;
  readonly protocolVersion?: 4 | 5;
}

export interface Subscription {
  close(): Promise<void>;
}

/**
 * Subscribes with QoS 1 and hands every message over. Resolves when the broker has granted it, and
 * stays subscribed over reconnects; rejects when it is refused or cut off before.
 */
export async function subscribe(
  options: SubscriberOptions,
  filter: string,
  onMessage: (topic: string, payload: Buffer) => void,
): Promise<Subscription> {
  const client = connect(options.url, {
    clientId: options.clientId,
    protocolVersion: options.protocolVersion ?? 4,
    clean: false,
    ...(options.protocolVersion === 5 ? { properties: { sessionExpiryInterval: 86_400 } } : {}),
    reconnectPeriod: options.reconnectMs ?? 250,
    reconnectOnConnackError: true,
  });
  client.on('error', () => {
    // It connects again by itself.
  });
  client.on('message', (topic, payload) => onMessage(topic, payload));
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => {
      client.subscribe(filter, { qos: 1 }, (error) => {
        if (error === null) {
          resolve();
          return;
        }
        client.end(true);
        reject(error);
      });
    });
  });
  return {
    close: () =>
      new Promise<void>((resolve) => {
        client.end(true, {}, () => resolve());
      }),
  };
}
