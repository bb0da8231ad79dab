import type { IncomingMessage, ServerResponse } from 'node:http';
import { codeOf, ERRORS, type ErrorCode, HeadgateError, messageOf } from '../base/errors.ts';

/** One request on the local socket, and its answer. */
export interface Call {
  readonly method: string;
  /** Of the path, decoded: `/streams/a%2Fb` is `['streams', 'a/b']`. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly answer: ServerResponse;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
  header(name: string): string | undefined;
  /** The body as JSON. Rejects with REQUEST_INVALID. */
  body(): Promise<unknown>;
  /** Resolves when the client has taken an answer that has ended, or is gone. */
  taken(): Promise<void>;
  /** Resolves when a write that gave false has been taken by the client, or the client is gone. */
  drained(): Promise<void>;
}

/** Answers what is its own; false: the path is none of its. What it throws is answered for it. */
export type Handler = (call: Call) => boolean | Promise<boolean>;

const MAX_BODY_BYTES = 64 * 1024;

/** Throws REQUEST_INVALID. `stallMs`: within that time the client takes an answer, or is gone. */
export function callOf(message: IncomingMessage, answer: ServerResponse, stallMs: number): Call {
  const { path, query } = urlOf(message.url ?? '');
  return {
    method: message.method ?? '',
    path,
    query,
    answer,
    signal: goneSignal(message, answer),
    header: (name) => {
      const value = message.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    body: () => readJson(message, answer),
    taken: () => answerTaken(message, answer, stallMs),
    drained: () => answerTaken(message, answer, stallMs, 'drain'),
  };
}

/** An answer that waits behind another one of its connection is not told that the client goes. */
function goneSignal({ socket }: IncomingMessage, answer: ServerResponse): AbortSignal {
  const gone = new AbortController();
  const abort = () => gone.abort();
  socket.once('close', abort);
  answer.once('close', () => {
    socket.off('close', abort);
    abort();
  });
  if (socket.destroyed) abort();
  return gone.signal;
}

/**
 * Until it is taken an answer is in memory, so what it may cost is given back then, and not before.
 * A client that takes nothing in time is disconnected.
 */
export async function answerTaken(
  { socket }: IncomingMessage,
  answer: ServerResponse,
  stallMs: number,
  event: 'finish' | 'drain' = 'finish',
): Promise<void> {
  if (answer.writableFinished || socket.destroyed) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => socket.destroy(), stallMs);
    const done = () => {
      clearTimeout(timer);
      answer.off(event, done);
      socket.off('close', done);
      resolve();
    };
    answer.once(event, done);
    socket.once('close', done);
  });
}

function urlOf(text: string): Pick<Call, 'path' | 'query'> {
  try {
    const { pathname, searchParams } = new URL(text, 'http://gateway');
    return { path: pathname.split('/').slice(1).map(decodeURIComponent), query: searchParams };
  } catch (error) {
    throw new HeadgateError('REQUEST_INVALID', 'the path is none', { cause: error });
  }
}

async function readJson(message: IncomingMessage, answer: ServerResponse): Promise<unknown> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of message.iterator({ destroyOnReturn: false })) {
      bytes += (part as Buffer).length;
      if (bytes > MAX_BODY_BYTES) break;
      parts.push(part as Buffer);
    }
  } catch (error) {
    // The client is gone, so nobody reads this; but it is no fault of ours.
    throw new HeadgateError('REQUEST_INVALID', 'the body is broken off', { cause: error });
  }
  if (bytes > MAX_BODY_BYTES) {
    // The rest is never read: nothing else can come over this connection.
    answer.setHeader('connection', 'close');
    throw new HeadgateError('REQUEST_INVALID', `a body is ${MAX_BODY_BYTES} bytes at most`);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString());
  } catch (error) {
    throw new HeadgateError('REQUEST_INVALID', 'the body is no JSON', { cause: error });
  }
}

export function sendJson({ answer }: Pick<Call, 'answer'>, value: unknown, status = 200): void {
  answer.writeHead(status, { 'content-type': 'application/json' });
  answer.end(`${JSON.stringify(value)}\n`);
}

/** With its length, so that a client knows the end of it without chunks. */
export function sendText({ answer }: Pick<Call, 'answer'>, text: string, type: string): void {
  answer.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  answer.end(text);
}

/** What is not here is a fault of ours, or of the machine: 500. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  REQUEST_INVALID: 400,
  CONSUMER_RESERVED: 403,
  PATH_UNKNOWN: 404,
  STREAM_UNKNOWN: 404,
  PARTITION_UNKNOWN: 404,
  CONSUMER_UNKNOWN: 404,
  STATE_UNKNOWN: 404,
  OFFSET_BEYOND_END: 409,
  CONSUMER_LIMIT: 409,
  READER_LIMIT: 503,
};

export function statusOf(error: unknown): number {
  return (error instanceof HeadgateError ? STATUS[error.code] : undefined) ?? 500;
}

/** An error as `{code, cause, mend, detail}`, or the end of an answer that has begun. */
export function sendError(call: Pick<Call, 'answer'>, error: unknown): void {
  if (call.answer.headersSent) {
    call.answer.destroy();
    return;
  }
  if (error instanceof HeadgateError) {
    const { code, detail } = error;
    const { cause, mend } = ERRORS[code];
    const more = detail === '' ? {} : { detail };
    sendJson(call, { code, cause, mend, ...more }, statusOf(error));
    return;
  }
  const mend = 'See what the daemon has logged; `headgate log verify` looks at the log.';
  sendJson(call, { code: codeOf(error), cause: messageOf(error), mend }, statusOf(error));
}
