import type { Clock } from './base/clock.ts';
import { LocalStreams } from './log/local-streams.ts';
import { NamedConsumers } from './log/named-consumers.ts';
import { consumerRoutes } from './ops/consumer-routes.ts';
import { type Control, openControl } from './ops/control.ts';
import { type Handler, sendJson } from './ops/control-call.ts';
import type { DataFolder } from './ops/data-folder.ts';
import { recordRoutes } from './ops/record-routes.ts';
import { readBootId } from './os/boot-id.ts';
import type { Files } from './os/files.ts';
import type { StateStore } from './os/state-store.ts';
import type { Stores } from './stores.ts';

export interface LocalSocketOptions {
  readonly data: DataFolder;
  readonly files: Files;
  readonly clock: Clock;
  readonly stores: Stores;
  readonly state: StateStore;
  readonly status: () => unknown;
  readonly audit: () => unknown;
}

/** The local socket with all that it answers: status, the books, streams and consumers. */
export async function openLocalSocket(options: LocalSocketOptions): Promise<Control> {
  const { data, files, clock, stores, state, status, audit } = options;
  const journals = new Map(Object.entries(stores));
  const streams = new LocalStreams({ files, clock, boot: await readBootId(files), journals });
  const consumers = new NamedConsumers(state, streams);
  const handlers = [
    statusRoute(status),
    jsonRoute('audit', audit),
    recordRoutes({ streams, consumers }),
    consumerRoutes({ streams, consumers }),
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
  return jsonRoute('status', status);
}

function jsonRoute(path: string, answer: () => unknown): Handler {
  return (call) => {
    if (call.method !== 'GET' || call.path.join('/') !== path) return false;
    sendJson(call, answer());
    return true;
  };
}
