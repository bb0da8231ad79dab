import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { HeadgateError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Files } from '../os/files.ts';
import { answerTaken, callOf, type Handler, sendError, statusOf } from './control-call.ts';
import { RequestLine } from './request-line.ts';

export interface Control {
  /** Ends every answer that is under way, and resolves when nothing is, or soon after that. */
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 32;
const MAX_HEADER_BYTES = 8 * 1024;

export interface ControlLimits {
  /** So long is an answer under way waited for at the end. */
  readonly closeMs: number;
  /** So long may a client take for a request, from when it has connected. */
  readonly requestMs: number;
  /** So long may it take for an answer that has ended, or for a part that is waited for. */
  readonly stallMs: number;
}

const LIMITS: ControlLimits = { closeMs: 5_000, requestMs: 10_000, stallMs: 60_000 };
/** Requests of one connection, with the one that is answered. */
const MAX_IN_LINE = 8;

export interface ControlOptions {
  readonly files: Files;
  readonly path: string;
  /** Asked in turn, until one answers. */
  readonly handlers: readonly Handler[];
  readonly limits?: Partial<ControlLimits>;
  readonly logger: Logger;
}

/**
 * Opens the local socket: HTTP over a Unix socket that only this user and group can reach. Whoever
 * holds the data folder holds its socket, so one that an earlier daemon left behind is removed.
 */
export async function openControl(options: ControlOptions): Promise<Control> {
  const { files, path, handlers, logger } = options;
  const limits = { ...LIMITS, ...options.limits };
  await files.remove(path);
  const underWay = new Set<Promise<void>>();
  const line = new RequestLine(MAX_IN_LINE);
  const { closeMs, requestMs, stallMs } = limits;
  const serverOptions = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: requestMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: Math.ceil(requestMs / 5),
  };
  const server = createServer(serverOptions, (message, answer) => {
    const one = line
      .add(message.socket, async () => {
        await handle(message, answer, { handlers, stallMs, logger });
        await answerTaken(message, answer, stallMs);
      })
      .finally(() => underWay.delete(one));
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

async function handle(
  message: IncomingMessage,
  answer: ServerResponse,
  { handlers, stallMs, logger }: Pick<ControlOptions, 'handlers' | 'logger'> & { stallMs: number },
): Promise<void> {
  try {
    const call = callOf(message, answer, stallMs);
    for (const handler of handlers) if (await handler(call)) return;
    throw new HeadgateError('PATH_UNKNOWN', `${call.method} /${call.path.join('/')}`);
  } catch (error) {
    // An answer that has begun can only be broken off, and a 500 sends its reader to the daemon's
    // messages: nowhere else is it said what happened.
    if (answer.headersSent || statusOf(error) === 500) {
      logger.warn({ path: message.url, error }, 'a request on the local socket met an error');
    }
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
