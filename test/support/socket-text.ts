import { type IncomingHttpHeaders, request } from 'node:http';

export interface SocketAnswer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** What a daemon's local socket answers to a GET, as it is. */
export function getFrom(socketPath: string, path: string): Promise<SocketAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      const { statusCode: status, headers } = answer;
      answer.on('end', () => resolve({ status, headers, text })).on('error', reject);
    });
    asked.on('error', reject).end();
  });
}
