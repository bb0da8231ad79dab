import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { RequestLine } from '../../../src/ops/request-line.ts';

class Connection {
  destroyed = false;

  destroy(): void {
    this.destroyed = true;
  }

  get socket(): Socket {
    return this as unknown as Socket;
  }
}

/** Requests that are answered when they are told to be. */
class Requests {
  readonly line = new RequestLine(3);
  readonly connection = new Connection();
  readonly begun: string[] = [];
  readonly answer = new Map<string, (error?: Error) => void>();

  add(name: string): Promise<void> {
    return this.line.add(this.connection.socket, () => {
      this.begun.push(name);
      return new Promise((resolve, reject) => {
        this.answer.set(name, (error) => (error === undefined ? resolve() : reject(error)));
      });
    });
  }
}

test('one is handled when the one before it is answered, or has failed', async () => {
  const requests = new Requests();
  const a = requests.add('a');
  const b = requests.add('b');
  const c = requests.add('c');
  await turn();
  expect(requests.begun).toEqual(['a']);
  requests.answer.get('a')?.(new Error('a defect'));
  await expect(a).rejects.toThrow('a defect');
  await turn();
  expect(requests.begun).toEqual(['a', 'b']);
  requests.answer.get('b')?.();
  await b;
  await turn();
  requests.answer.get('c')?.();
  await c;
  expect(requests.begun).toEqual(['a', 'b', 'c']);
});

test('nothing is done for a connection that went while it waited', async () => {
  const requests = new Requests();
  const a = requests.add('a');
  const b = requests.add('b');
  await turn();
  requests.connection.destroy();
  requests.answer.get('a')?.();
  await Promise.all([a, b]);
  expect(requests.begun).toEqual(['a']);
});

test('one too many ends the connection; those that were answered do not count', async () => {
  const requests = new Requests();
  for (const name of ['a', 'b', 'c', 'd']) {
    const done = requests.add(name);
    await turn();
    requests.answer.get(name)?.();
    await done;
  }
  expect(requests.connection.destroyed).toBe(false);
  const waiting = ['e', 'f', 'g'].map((name) => requests.add(name));
  await turn();
  expect(requests.connection.destroyed).toBe(false);
  await requests.add('h');
  expect(requests.connection.destroyed).toBe(true);
  requests.answer.get('e')?.();
  await Promise.all(waiting);
  expect(requests.begun).toEqual(['a', 'b', 'c', 'd', 'e']);
});
