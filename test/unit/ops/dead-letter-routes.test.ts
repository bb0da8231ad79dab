import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  deadLetterRoutes,
  MAX_REDRIVE_OFFSETS,
  type RedriveOptions,
} from '../../../src/ops/dead-letter-routes.ts';
import { Boot } from '../../support/boots.ts';
import { FakeFiles } from '../../support/fake-files.ts';
import { LocalSocket } from '../../support/local-socket.ts';
import { memoryState } from '../../support/memory-state.ts';

let boot: Boot;
let socket: LocalSocket;
let asked: Array<{ offsets: readonly number[] } & Omit<RedriveOptions, 'signal'>>;

beforeEach(async () => {
  asked = [];
  const handler = deadLetterRoutes({
    redrive: async (offsets, { again, dryRun, signal }) => {
      expect(signal.aborted).toBe(false);
      asked.push({ offsets, again, dryRun });
      const rows = offsets.map((offset) => ({ offset, outcome: 'stored' as const }));
      return { log: 'a', dryRun, rows };
    },
    redriven: async (from) => ({ log: 'a', from, end: from + 1, ranges: [[from, from]] }),
  });
  const files = new FakeFiles();
  boot = await Boot.start(files, 1, { mono: 1_000, wall: 1_000 });
  socket = await LocalSocket.open(files, boot, memoryState(), { handlers: [handler] });
});

afterEach(async () => {
  await socket.close();
  await boot.stop();
});

const PATH = '/dead-letters/redrive';
const many = (count: number) => Array.from({ length: count }, (_, n) => n);

describe('POST /dead-letters/redrive', () => {
  it('asks for what is asked, and nothing more unless it is', async () => {
    const reply = await socket.ask('POST', PATH, { offsets: [7, 3] });
    expect(reply.status).toBe(200);
    const rows = [7, 3].map((offset) => ({ offset, outcome: 'stored' }));
    expect(JSON.parse(reply.text)).toEqual({ log: 'a', dryRun: false, rows });
    await socket.ask('POST', PATH, { offsets: [1], again: true, dryRun: true });
    expect(asked).toEqual([
      { offsets: [7, 3], again: false, dryRun: false },
      { offsets: [1], again: true, dryRun: true },
    ]);
  });

  it('takes as many offsets as it says', async () => {
    const offsets = many(MAX_REDRIVE_OFFSETS);
    expect((await socket.ask('POST', PATH, { offsets })).status).toBe(200);
  });

  it.each([
    {},
    [],
    { offsets: [] },
    { offsets: 3 },
    { offsets: ['3'] },
    { offsets: [-1] },
    { offsets: [1.5] },
    { offsets: [1], agian: true },
    { offsets: [1], dryRun: 1 },
    { offsets: many(MAX_REDRIVE_OFFSETS + 1) },
  ])('refuses a body that is another: %j', async (body) => {
    const reply = await socket.ask('POST', PATH, body);
    expect(reply.status).toBe(400);
    expect(JSON.parse(reply.text)).toMatchObject({ code: 'REQUEST_INVALID' });
    expect(asked).toEqual([]);
  });
});

describe('GET /dead-letters/redriven', () => {
  it('begins where it is asked to, or at 0', async () => {
    for (const [query, from] of [
      ['', 0],
      ['?from=70', 70],
    ] as const) {
      const reply = await socket.ask('GET', `/dead-letters/redriven${query}`);
      expect(JSON.parse(reply.text)).toMatchObject({ from, ranges: [[from, from]] });
    }
  });

  it.each(['?from=-1', '?from=x', '?form=1', '?from=1&from=2'])('refuses %s', async (query) => {
    expect((await socket.ask('GET', `/dead-letters/redriven${query}`)).status).toBe(400);
  });
});

it.each([
  ['GET', PATH],
  ['POST', '/dead-letters/redriven'],
  ['GET', '/dead-letters'],
  ['POST', `${PATH}/1`],
])('%s %s is no path', async (method, path) => {
  expect((await socket.ask(method, path)).status).toBe(404);
});
