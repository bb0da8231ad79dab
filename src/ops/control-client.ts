import { type IncomingHttpHeaders, request } from 'node:http';
import { codeOf, ERRORS, type ErrorCode, HeadgateError } from '../base/errors.ts';

const ANSWER_WITHIN_MS = 5_000;

export interface Question {
  readonly method?: string;
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Besides the usual time: the daemon was asked to wait for something. */
  readonly waitMs?: number;
}

export interface ControlAnswer {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/**
 * Asks the daemon of a data folder. Rejects with NOT_RUNNING if none answers, NO_ACCESS, or with
 * the error that it answers with.
 */
export function callControl(socket: string, question: Question): Promise<ControlAnswer> {
  const { method = 'GET', path, body, waitMs = 0 } = question;
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      const code = ['EACCES', 'EPERM'].includes(codeOf(cause)) ? 'NO_ACCESS' : 'NOT_RUNNING';
      reject(new HeadgateError(code, `${ERRORS[code].cause} (${socket})`, { cause }));
    };
    const timeout = ANSWER_WITHIN_MS + waitMs;
    const ask = request({ socketPath: socket, method, path, timeout }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('error', fail);
      answer.on('end', () => {
        const text = Buffer.concat(parts).toString();
        const { statusCode = 0, headers } = answer;
        if (statusCode < 400) resolve({ headers, text });
        else reject(errorIn(text));
      });
    });
    ask.on('timeout', () => ask.destroy(new Error('no answer in time')));
    ask.on('error', fail);
    ask.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function errorIn(text: string): Error {
  try {
    const { code, detail, cause } = JSON.parse(text) as Record<string, string | undefined>;
    if (code !== undefined && code in ERRORS) return new HeadgateError(code as ErrorCode, detail);
    return new Error(`the daemon answers ${code}: ${cause}`);
  } catch {
    return new Error(`the daemon answers ${text}`);
  }
}

/** Asks for a path and gives its JSON. Rejects as `callControl` does. */
export async function askControl(socket: string, path: string): Promise<unknown> {
  return JSON.parse((await callControl(socket, { path })).text);
}
