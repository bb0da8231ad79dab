import type { Clock } from './base/clock.ts';
import type { Logger } from './base/logger.ts';
import { DeadLetters } from './dead-letters.ts';
import { LocalStreams } from './log/local-streams.ts';
import { NamedConsumers } from './log/named-consumers.ts';
import { consumerRoutes } from './ops/consumer-routes.ts';
import { type Control, openControl } from './ops/control.ts';
import { type Handler, sendJson } from './ops/control-call.ts';
import type { DataFolder } from './ops/data-folder.ts';
import { deadLetterRoutes } from './ops/dead-letter-routes.ts';
import { recordRoutes } from './ops/record-routes.ts';
import { readBootId } from './os/boot-id.ts';
import type { Files } from './os/files.ts';
import type { StateStore } from './os/state-store.ts';
import type { Pipeline } from './pipeline.ts';
import type { Stores } from './stores.ts';

export interface LocalSocketOptions {
  readonly data: DataFolder;
  readonly files: Files;
  readonly clock: Clock;
  readonly stores: Stores;
  readonly state: StateStore;
  /** Takes dead letters that are sent through again. */
  readonly pipeline: Pipeline;
  readonly logger: Logger;
  readonly status: () => unknown;
}

/** The local socket with all that it answers: status, streams, consumers, dead letters. */
export async function openLocalSocket(options: LocalSocketOptions): Promise<Control> {
  const { data, files, clock, stores, state, pipeline, logger, status } = options;
  const journals = new Map(Object.entries(stores));
  const streams = new LocalStreams({ files, clock, boot: await readBootId(files), journals });
  const consumers = new NamedConsumers(state, streams);
  const { events } = stores;
  // At a reader's pace: acknowledgements come first.
  const letters = new DeadLetters({ files: streams.files, events, state, pipeline, logger });
  const handlers = [
    statusRoute(status),
    recordRoutes({ streams, consumers }),
    consumerRoutes({ streams, consumers }),
    deadLetterRoutes(letters),
  ];
  const control = await openControl({ files, path: data.socket, handlers });
  return {
    close: async () => {
      await control.close();
      streams.close();
    },
  };
}

/** `GET /status`: what `headgate status` shows. */
export function statusRoute(status: () => unknown): Handler {
  return (call) => {
    if (call.method !== 'GET' || call.path.join('/') !== 'status') return false;
    sendJson(call, status());
    return true;
  };
}
