/** The part of an aedes client that is looked at here. */
interface Registered {
  readonly id: string;
  readonly closed: boolean;
}

/** The part of aedes that keeps the list of clients. */
export interface RegisteringBroker<C extends Registered> {
  readonly clients: Readonly<Record<string, C>>;
  readonly _takingOver: Set<string>;
  registerClient(client: C): void;
  _finishRegisterClient(client: C): void;
  unregisterClient(client: C): void;
  scheduleSessionExpiry(client: C): void;
}

/**
 * Keeps aedes's list of clients to those that are here. Between the look at whether a client is
 * still connected and the entry in the list lie several answers of the store: one that went
 * meanwhile would stay in the list for good, and would end the live connection of its name. And
 * when it goes, aedes strikes out whoever bears that name.
 */
export function registerLiving<C extends Registered>(broker: RegisteringBroker<C>): void {
  const register = broker.registerClient.bind(broker);
  const finish = broker._finishRegisterClient.bind(broker);
  const unregister = broker.unregisterClient.bind(broker);
  const expire = broker.scheduleSessionExpiry.bind(broker);
  const isAnothers = (client: C) => {
    const listed = broker.clients[client.id];
    return listed !== undefined && listed !== client;
  };
  broker.registerClient = (client) => {
    if (!client.closed) register(client);
  };
  // Once the connection that it took over from has been told, which takes until its socket drains.
  broker._finishRegisterClient = (client) => {
    if (!client.closed) {
      const before = broker.clients[client.id];
      // It was closing already, and would no longer strike itself out.
      if (before !== undefined) unregister(before);
      finish(client);
      return;
    }
    broker._takingOver.delete(client.id);
    // The session was this client's by now, and nobody else will see to its end.
    expire(client);
  };
  broker.unregisterClient = (client) => {
    if (!isAnothers(client)) unregister(client);
  };
  broker.scheduleSessionExpiry = (client) => {
    if (!isAnothers(client)) expire(client);
  };
}
