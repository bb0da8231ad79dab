import type { Logger } from '../base/logger.ts';

/** The part of an aedes client that is looked at here, between its CONNECT and the answer. */
export interface AdmittedClient {
  readonly id: string;
  /** Its session ends with its connection. */
  clean: boolean;
  sessionExpiryInterval: number;
  /** What it asked for; 0: it may not ask for more when it goes. */
  _connectSessionExpiryInterval: number;
  /** An MQTT 5 client is told what it got. */
  _sessionExpiryClamped: boolean;
  readonly version: number;
}

export interface AdmissionOptions {
  readonly maxSessions: number;
  readonly sessions: {
    has(clientId: string): boolean;
    readonly sessions: number;
  };
  readonly logger: Logger;
}

type Done = (error: (Error & { returnCode: number }) | null, success: boolean) => void;

/** Bytes. */
export const MAX_CLIENT_ID = 256;
/** CONNACK of 3.1.1: identifier rejected. aedes makes it 0x85 for 5. */
const IDENTIFIER_REJECTED = 2;

/**
 * Lets a client in, and says for how long its session lasts. Where there are enough sessions, a new
 * one ends with its connection, which MQTT allows [MQTT-4.1.0-2]: whoever made up the many must
 * neither keep a sensor from sending nor take the sessions that others have.
 */
export function admit(client: AdmittedClient, options: AdmissionOptions, done: Done): void {
  // aedes holds only 3.1 clients to a length.
  if (Buffer.byteLength(client.id) > MAX_CLIENT_ID) {
    const error = new Error(`a client id is at most ${MAX_CLIENT_ID} bytes`);
    done(Object.assign(error, { returnCode: IDENTIFIER_REJECTED }), false);
    return;
  }
  const { maxSessions, sessions, logger } = options;
  if (!client.clean && sessions.sessions >= maxSessions && !sessions.has(client.id)) {
    const fields = { clientId: client.id, maxSessions, repeatKey: 'sessions' };
    logger.warn(fields, 'mqtt.maxSessions is reached: a session will end with its connection');
    client.clean = true;
    client.sessionExpiryInterval = 0;
    client._connectSessionExpiryInterval = 0;
    client._sessionExpiryClamped = client.version === 5;
  }
  done(null, true);
}
