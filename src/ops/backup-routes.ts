import { HeadgateError } from '../base/errors.ts';
import type { Handler } from './control-call.ts';

/** `GET /backup`: an archive, as fast as it is taken; one at a time. See docs/backup.md. */
export function backupRoute(archive: () => AsyncIterable<Uint8Array>): Handler {
  let isUnderWay = false;
  return async (call) => {
    const { answer, signal } = call;
    if (call.method !== 'GET' || call.path.join('/') !== 'backup') return false;
    if (isUnderWay) throw new HeadgateError('READER_LIMIT', 'a backup is being made already');
    isUnderWay = true;
    try {
      answer.writeHead(200, { 'content-type': 'application/x-tar' });
      for await (const piece of archive()) {
        if (signal.aborted) return true;
        if (piece.length > 0 && !answer.write(piece)) await call.drained();
      }
      answer.end();
    } finally {
      isUnderWay = false;
    }
    return true;
  };
}
