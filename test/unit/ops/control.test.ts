import { stat } from 'node:fs/promises';
import { request } from 'node:http';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  type Control,
  type ControlLimits,
  openControl,
  openLimitedControl,
} from '../../../src/ops/control.ts';
import type { Handler } from '../../../src/ops/control-call.ts';
import { askControl } from '../../../src/ops/control-client.ts';
import { nodeFiles } from '../../../src/os/node-files.ts';
import { makeTemporaryFolder, removeFolder } from '../../../src/os/temporary-folder.ts';
import { until } from '../../support/until.ts';

let folder: string;
let socket: string;
let control: Control | undefined;

beforeEach(async () => {
  folder = await makeTemporaryFolder('headgate-control-');
  socket = `${folder}/control.sock`;
});

afterEach(async () => {
  await control?.close();
  control = undefined;
  await removeFolder(folder);
});

async function open(): Promise<void> {
  control = await openControl(nodeFiles, socket, new Map([['/status', () => ({ up: true })]]));
}

function openLimited(handler: Handler, limits: Partial<ControlLimits>): Promise<Control> {
  const options = { files: nodeFiles, path: socket, routes: new Map(), handlers: [handler] };
  return openLimitedControl({ ...options, limits });
}

function statusOf(method: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const ask = request({ socketPath: socket, method, path }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    ask.on('error', reject);
    ask.end();
  });
}

it('answers its own user and group, and nobody else', async () => {
  const before = process.umask();
  await open();
  expect(await askControl(socket, '/status')).toEqual({ up: true });
  expect(((await stat(socket)).mode & 0o777).toString(8)).toBe('660');
  expect(process.umask()).toBe(before);
});

it('takes the place of a socket that a killed daemon left', async () => {
  await open();
  const left = control;
  await open();
  expect(await askControl(socket, '/status')).toEqual({ up: true });
  await left?.close();
});

it('has no other paths and no other methods', async () => {
  await open();
  expect(await statusOf('GET', '/status')).toBe(200);
  expect(await statusOf('GET', '/other')).toBe(404);
  expect(await statusOf('POST', '/status')).toBe(404);
});

it('closes when every answer has ended, and not before', async () => {
  const done: string[] = [];
  let isAsked = false;
  const handler: Handler = async ({ signal, path }) => {
    isAsked = true;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    done.push(path.join('/'));
    return true;
  };
  control = await openControl(nodeFiles, socket, new Map(), [handler]);
  const asked = request({ socketPath: socket, path: '/slow' });
  const gone = new Promise((resolve) => asked.on('error', resolve));
  asked.end();
  await until('it is asked', () => isAsked);
  await control.close();
  expect(done).toEqual(['slow']);
  await gone;
});

it('closes although an answer never ends', async () => {
  let isAsked = false;
  const handler: Handler = async () => {
    isAsked = true;
    await new Promise(() => {});
    return true;
  };
  control = await openLimited(handler, { closeMs: 20 });
  const asked = request({ socketPath: socket, path: '/never' });
  const gone = new Promise((resolve) => asked.on('error', resolve));
  asked.end();
  await until('it is asked', () => isAsked);
  await control.close();
  await gone;
});

it('is NOT_RUNNING where nobody answers', async () => {
  await expect(askControl(socket, '/status')).rejects.toMatchObject({ code: 'NOT_RUNNING' });
});
