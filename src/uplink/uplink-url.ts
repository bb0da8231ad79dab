/** The address of the far side, taken apart. Pure. */

export type Protocol = 'mqtt' | 'nats' | 'kafka';

/** What each scheme means. */
const SCHEMES: ReadonlyMap<string, { readonly protocol: Protocol; readonly isEncrypted: boolean }> =
  new Map([
    ['nats:', { protocol: 'nats', isEncrypted: false }],
    ['tls:', { protocol: 'nats', isEncrypted: true }],
    ['kafka:', { protocol: 'kafka', isEncrypted: false }],
    ['kafkas:', { protocol: 'kafka', isEncrypted: true }],
  ]);

/** The rest speak MQTT: its client knows their schemes itself. */
export function protocolOf(url: string): Protocol {
  return SCHEMES.get(schemeOf(url))?.protocol ?? 'mqtt';
}

/** Of NATS and Kafka alone. */
export function isEncrypted(url: string): boolean {
  return SCHEMES.get(schemeOf(url))?.isEncrypted ?? false;
}

function schemeOf(url: string): string {
  return url.slice(0, url.indexOf('//')).toLowerCase();
}

/**
 * `nats://a:4222,b:4222` as one address each: NATS and Kafka take several servers of one cluster,
 * and one that answers is enough. Another text comes back as it is.
 */
export function addressesOf(url: string): string[] {
  const scheme = schemeOf(url);
  if (!SCHEMES.has(scheme)) return [url];
  return url
    .slice(scheme.length + 2)
    .split(',')
    .map((server) => `${scheme}//${server}`);
}

/** Each as `host:port`, the port as the protocol has it unless it is given. */
export function serversOf(url: string, defaultPort: number): string[] {
  return addressesOf(url).map((address) => {
    const { hostname, port } = new URL(address);
    return `${hostname}:${port === '' ? defaultPort : port}`;
  });
}
