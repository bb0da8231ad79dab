import { createServer, request, type Server } from 'node:http';
import { codeOf, ERRORS, HeadgateError } from '../base/errors.ts';
import type { Files } from '../os/files.ts';

/** What the daemon answers on its local socket: a path and what it gives as JSON. */
export type Routes = ReadonlyMap<string, () => unknown>;

export interface Control {
  close(): Promise<void>;
}

/**
 * Opens the local socket: HTTP over a Unix socket that only this user and group can reach. Whoever
 * holds the data folder holds its socket, so one that an earlier daemon left behind is removed.
 */
export async function openControl(files: Files, path: string, routes: Routes): Promise<Control> {
  await files.remove(path);
  const server = createServer((message, answer) => {
    const route = message.method === 'GET' ? routes.get(message.url ?? '') : undefined;
    answer.setHeader('content-type', 'application/json');
    answer.statusCode = route === undefined ? 404 : 200;
    answer.end(JSON.stringify(route === undefined ? { error: 'no such path' } : route()));
  });
  server.maxConnections = 16;
  await listen(server, path);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
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

const ANSWER_WITHIN_MS = 5_000;

/** Asks the daemon of a data folder. Throws NOT_RUNNING if none answers, NO_ACCESS. */
export function askControl(socket: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      const code = ['EACCES', 'EPERM'].includes(codeOf(cause)) ? 'NO_ACCESS' : 'NOT_RUNNING';
      reject(new HeadgateError(code, `${ERRORS[code].cause} (${socket})`, { cause }));
    };
    const ask = request({ socketPath: socket, path, timeout: ANSWER_WITHIN_MS }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('error', fail);
      answer.on('end', () => {
        try {
          resolve(JSON.parse(Buffer.concat(parts).toString()));
        } catch (error) {
          fail(error);
        }
      });
    });
    ask.on('timeout', () => ask.destroy(new Error('no answer in time')));
    ask.on('error', fail);
    ask.end();
  });
}
