import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { HeadgateError } from '../base/errors.ts';
import type { Files } from '../os/files.ts';
import { callOf, type Handler, sendError, sendJson } from './control-call.ts';

/** What the daemon answers on its local socket: a path and what it gives as JSON. */
export type Routes = ReadonlyMap<string, () => unknown>;

export interface Control {
  /** Ends every answer that is under way, and resolves when nothing is, or soon after that. */
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 32;
const MAX_HEADER_BYTES = 8 * 1024;

export interface ControlLimits {
  /** So long is an answer under way waited for at the end. */
  readonly closeMs: number;
}

const LIMITS: ControlLimits = { closeMs: 5_000 };

export interface ControlOptions {
  readonly files: Files;
  readonly path: string;
  readonly routes: Routes;
  readonly handlers?: readonly Handler[];
  readonly limits?: Partial<ControlLimits>;
}

export function openControl(
  files: Files,
  path: string,
  routes: Routes,
  handlers: readonly Handler[] = [],
): Promise<Control> {
  return openLimitedControl({ files, path, routes, handlers });
}

/**
 * Opens the local socket: HTTP over a Unix socket that only this user and group can reach. Whoever
 * holds the data folder holds its socket, so one that an earlier daemon left behind is removed.
 */
export async function openLimitedControl(options: ControlOptions): Promise<Control> {
  const { files, path, routes, handlers = [] } = options;
  const { closeMs } = { ...LIMITS, ...options.limits };
  await files.remove(path);
  const all = [handlerOf(routes), ...handlers];
  const underWay = new Set<Promise<void>>();
  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (message, answer) => {
    const one = handle(message, answer, all).finally(() => underWay.delete(one));
    underWay.add(one);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, path);
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await within(closeMs, Promise.all([closed, ...underWay]));
    },
  };
}

/** Resolves with the work, or without it when the time is over: a stop must come to its end. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const isOver = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, isOver]);
  clearTimeout(timer);
}

function handlerOf(routes: Routes): Handler {
  return (call) => {
    const route = call.method === 'GET' ? routes.get(`/${call.path.join('/')}`) : undefined;
    if (route === undefined) return false;
    sendJson(call, route());
    return true;
  };
}

async function handle(
  message: IncomingMessage,
  answer: ServerResponse,
  handlers: readonly Handler[],
): Promise<void> {
  try {
    const call = callOf(message, answer);
    for (const handler of handlers) if (await handler(call)) return;
    throw new HeadgateError('PATH_UNKNOWN', `${call.method} /${call.path.join('/')}`);
  } catch (error) {
    sendError({ answer }, error);
  }
}

async function listen(server: Server, path: string): Promise<void> {
  const before = process.umask(0o117);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } finally {
    process.umask(before);
  }
}
