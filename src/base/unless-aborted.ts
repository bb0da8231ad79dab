/**
 * As `work` ends, or undefined once `signal` aborts. For loops that go on for months: unlike a race
 * with one promise of the abort, it leaves nothing behind at the signal. Pure.
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const stop = () => resolve(undefined);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const done = () => signal.removeEventListener('abort', stop);
    work.then(resolve, reject).then(done, done);
  });
}
