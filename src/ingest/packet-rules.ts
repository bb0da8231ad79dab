/** What MQTT forbids and the broker underneath lets through. Pure. */

/** The part of a packet that is looked at here. */
export interface Packet {
  readonly cmd: string;
  readonly topic?: string;
  readonly qos?: number;
  readonly messageId?: number;
  readonly clientId?: string;
  readonly will?: { readonly topic: string };
  readonly subscriptions?: ReadonlyArray<{ readonly topic: string }>;
  readonly unsubscriptions?: readonly string[];
}

// U+FFFD stands where the bytes were no UTF-8 [MQTT-1.5.4-1]: two such names would be one.
// biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is what is looked for.
const NO_TEXT = /[\u0000\ufffd]/;

function nameFault(name: string): string | undefined {
  if (name === '') return 'a topic may not be empty';
  if (NO_TEXT.test(name)) return 'a topic may hold neither NUL nor what is no UTF-8';
  // Sorted out by name in a plain object, this one fails when a session is restored: an exception
  // that nobody catches, at each attempt of the client to come back.
  return name === '__proto__' ? 'no topic may be __proto__' : undefined;
}

/** What is wrong with a packet by itself, in words; undefined: nothing. */
export function packetFault(packet: Packet): string | undefined {
  const { cmd, topic, will, subscriptions = [], unsubscriptions = [] } = packet;
  if (packet.messageId === 0 && (cmd !== 'publish' || (packet.qos ?? 0) > 0)) {
    return 'a packet id may not be 0';
  }
  // Empty with a topic alias, which is refused elsewhere.
  if (cmd === 'publish' && topic !== undefined && NO_TEXT.test(topic)) return nameFault(topic);
  if (will !== undefined) {
    if (/[+#]/.test(will.topic)) return 'wildcards are not allowed in the topic of a will';
    return nameFault(will.topic);
  }
  for (const { topic: filter } of subscriptions) {
    const fault = nameFault(filter);
    if (fault !== undefined) return fault;
  }
  return unsubscriptions.some((filter) => NO_TEXT.test(filter)) ? nameFault('\u0000') : undefined;
}

/**
 * Holds a SUBSCRIBE to the filters that it came with, each as often and where it stood: aedes
 * replaces the list by one without repeats and with names such as `1` in front, and its SUBACK then
 * has other codes than the client asked for [MQTT-3.9.3-1]. Of a filter that is named twice, the
 * last holds [MQTT-3.8.4-5].
 */
export function pinSubscriptions(packet: Packet): void {
  const { subscriptions } = packet;
  Object.defineProperty(packet, 'subscriptions', {
    get: () => subscriptions,
    set: () => {
      // The list without repeats.
    },
  });
}
