import type { AlertList } from './alert-list.ts';
import { backupOf } from './backup.ts';
import type { Clock } from './base/clock.ts';
import type { Logger } from './base/logger.ts';
import { DeadLetters } from './dead-letters.ts';
import { LocalStreams } from './log/local-streams.ts';
import { NamedConsumers } from './log/named-consumers.ts';
import { metricsText } from './metrics.ts';
import { alertRoutes } from './ops/alert-routes.ts';
import { backupRoute } from './ops/backup-routes.ts';
import { consumerRoutes } from './ops/consumer-routes.ts';
import { type Control, openControl } from './ops/control.ts';
import { type Handler, sendJson, sendText } from './ops/control-call.ts';
import type { DataFolder } from './ops/data-folder.ts';
import { deadLetterRoutes } from './ops/dead-letter-routes.ts';
import { EXPOSITION_TYPE } from './ops/exposition.ts';
import { recordRoutes } from './ops/record-routes.ts';
import { type LearnedOf, type StateSource, stateRoutes } from './ops/state-routes.ts';
import type { Files } from './os/files.ts';
import type { LevelStore } from './os/level-store.ts';
import type { Pipeline } from './pipeline.ts';
import type { Status } from './status.ts';
import type { Stores } from './stores.ts';

export interface LocalSocketOptions {
  readonly data: DataFolder;
  readonly files: Files;
  readonly clock: Clock;
  /** The one that the stores were opened with: else their times of this boot mean nothing here. */
  readonly boot: Uint8Array;
  readonly stores: Stores;
  readonly level: Pick<LevelStore, 'state' | 'dump'>;
  /** Takes dead letters that are sent through again. */
  readonly pipeline: Pipeline;
  readonly status: () => Status;
  /** Undefined: none are kept. */
  readonly windows: StateSource | undefined;
  readonly learnedOf: LearnedOf;
  readonly audit: () => unknown;
  readonly alerts: AlertList;
  readonly logger: Logger;
}

/** The local socket with all that it answers: status, metrics, books, streams and so on. */
export async function openLocalSocket(options: LocalSocketOptions): Promise<Control> {
  const { data, files, clock, boot, stores, level, pipeline, status, audit, logger } = options;
  const { state } = level;
  const journals = new Map(Object.entries(stores));
  const streams = new LocalStreams({ files, clock, boot, journals });
  const consumers = new NamedConsumers(state, streams);
  const { events } = stores;
  // At a reader's pace: acknowledgements come first.
  const letters = new DeadLetters({ files: streams.files, events, state, pipeline, logger });
  const handlers = [
    statusRoute(status),
    metricsRoute(() => metricsText(status())),
    jsonRoute('audit', audit),
    recordRoutes({ streams, consumers }),
    consumerRoutes({ streams, consumers }),
    deadLetterRoutes(letters),
    alertRoutes(options.alerts),
    stateRoutes(options.windows, options.learnedOf),
    backupRoute(() =>
      backupOf({ ...options, files: streams.files, views: stores, dump: level.dump }),
    ),
  ];
  const control = await openControl({ files, path: data.socket, handlers, logger });
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

/** `GET /metrics`, whatever the query: who scrapes may be set to send one. */
export function metricsRoute(text: () => string): Handler {
  return (call) => {
    if (call.method !== 'GET' || call.path.join('/') !== 'metrics') return false;
    sendText(call, text(), EXPOSITION_TYPE);
    return true;
  };
}

function jsonRoute(path: string, answer: () => unknown): Handler {
  return (call) => {
    if (call.method !== 'GET' || call.path.join('/') !== path) return false;
    sendJson(call, answer());
    return true;
  };
}
