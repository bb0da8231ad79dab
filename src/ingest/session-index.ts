/** A filter that a session is subscribed to with QoS 1 or 2. */
export interface SessionFilter {
  readonly clientId: string;
  readonly topic: string;
}

class Level {
  readonly children = new Map<string, Level>();
  /** Clients whose filter ends here. */
  readonly clients = new Set<string>();
}

/**
 * Which sessions are to get a topic, by the levels of their filters. The index that
 * aedes-persistence-level has takes one filter of a client out when another one overlaps it with
 * a different QoS, or is given up: the session then misses messages, and aedes cuts it off.
 */
export class SessionIndex {
  readonly #root = new Level();
  readonly #filters = new Map<string, Set<string>>();

  /** QoS 0 is not kept for anybody. */
  set(client: string, filter: string, qos: number): void {
    if (qos === 0) {
      this.remove(client, filter);
      return;
    }
    let level = this.#root;
    for (const name of filter.split('/')) {
      let next = level.children.get(name);
      if (next === undefined) {
        next = new Level();
        level.children.set(name, next);
      }
      level = next;
    }
    level.clients.add(client);
    const filters = this.#filters.get(client);
    if (filters === undefined) this.#filters.set(client, new Set([filter]));
    else filters.add(filter);
  }

  remove(client: string, filter: string): void {
    const filters = this.#filters.get(client);
    if (filters === undefined || !filters.delete(filter)) return;
    if (filters.size === 0) this.#filters.delete(client);
    this.#prune(this.#root, filter.split('/'), client);
  }

  forget(client: string): void {
    for (const filter of this.#filters.get(client) ?? []) this.remove(client, filter);
  }

  get isEmpty(): boolean {
    return this.#filters.size === 0;
  }

  match(topic: string): SessionFilter[] {
    const found: SessionFilter[] = [];
    if (this.#filters.size > 0) this.#collect(this.#root, topic.split('/'), [], found);
    return found;
  }

  /** Takes the client out below `level`, and levels that nobody needs any more. */
  #prune(level: Level, rest: readonly string[], client: string): void {
    const [name, ...others] = rest;
    if (name === undefined) {
      level.clients.delete(client);
      return;
    }
    const next = level.children.get(name);
    if (next === undefined) return;
    this.#prune(next, others, client);
    if (next.clients.size === 0 && next.children.size === 0) level.children.delete(name);
  }

  #collect(
    level: Level,
    topic: readonly string[],
    path: readonly string[],
    found: SessionFilter[],
  ): void {
    const name = topic[path.length];
    // Filters that begin with a wildcard do not match topics that begin with $ [MQTT-4.7.2-1].
    const wild = path.length > 0 || name?.startsWith('$') !== true;
    const rest = wild ? level.children.get('#') : undefined;
    if (rest !== undefined) addTo(found, rest, [...path, '#']);
    if (name === undefined) {
      addTo(found, level, path);
      return;
    }
    const same = level.children.get(name);
    if (same !== undefined) this.#collect(same, topic, [...path, name], found);
    const any = wild ? level.children.get('+') : undefined;
    if (any !== undefined) this.#collect(any, topic, [...path, '+'], found);
  }
}

function addTo(found: SessionFilter[], { clients }: Level, path: readonly string[]): void {
  if (clients.size === 0) return;
  const topic = path.join('/');
  for (const clientId of clients) found.push({ clientId, topic });
}
