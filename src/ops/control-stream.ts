import { request } from 'node:http';
import { codeOf, ERRORS, HeadgateError } from '../base/errors.ts';

const HEAD_WITHIN_MS = 30_000;

/**
 * An answer of the daemon that is too large for memory, as it comes. Rejects with NOT_RUNNING or
 * NO_ACCESS; reading it throws if the daemon ends in the middle.
 */
export function streamControl(socket: string, path: string): Promise<AsyncIterable<Uint8Array>> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      const code = ['EACCES', 'EPERM'].includes(codeOf(cause)) ? 'NO_ACCESS' : 'NOT_RUNNING';
      reject(new HeadgateError(code, `${ERRORS[code].cause} (${socket})`, { cause }));
    };
    const ask = request({ socketPath: socket, path, timeout: HEAD_WITHIN_MS }, (answer) => {
      ask.setTimeout(0);
      if (answer.statusCode === 200) resolve(answer as AsyncIterable<Buffer>);
      else {
        answer.resume();
        // A daemon of before has no backups; one that makes one already has another answer.
        const said = answer.statusCode === 404 ? 'this daemon makes no backups: stop it first' : '';
        const busy = 'a backup is being made already';
        reject(new HeadgateError(said === '' ? 'READER_LIMIT' : 'PATH_UNKNOWN', said || busy));
      }
    });
    ask.on('timeout', () => ask.destroy(new Error('no answer in time')));
    ask.on('error', fail);
    ask.end();
  });
}
