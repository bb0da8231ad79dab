import { codeOf, messageOf } from './base/errors.ts';
import type { Logger } from './base/logger.ts';
import type { StateStore } from './os/state-store.ts';

const KEY = 'gateway/id';

export interface GatewayIdOptions {
  /** From the configuration; empty if it says nothing. */
  readonly configured: string;
  readonly hostName: string;
  readonly state: StateStore;
  readonly logger: Logger;
}

/**
 * The name under which the cloud knows this gateway. It is part of every record's identity, so
 * nothing changes it but the configuration: where that says nothing any more, or the host is
 * renamed, it stays the one that was used last.
 */
export async function gatewayId(options: GatewayIdOptions): Promise<string> {
  const { configured, hostName, state, logger } = options;
  const stored = await state.get(KEY);
  const id = configured || stored || hostName;
  if (id === stored) return id;
  if (stored !== undefined) {
    const fields = { before: stored, now: id };
    logger.warn(fields, 'gateway.id has changed: what is sent again now is new to the cloud');
  }
  try {
    await state.write(new Map([[KEY, id]]));
  } catch (error) {
    // A full disk must not keep the gateway from starting: the next start stores it.
    const fields = { code: codeOf(error), error: messageOf(error) };
    logger.warn(fields, 'the id of the gateway could not be stored');
  }
  return id;
}
