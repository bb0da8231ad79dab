import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RecordJson } from '../../src/base/record-json.ts';
import { segmentFileName } from '../../src/log/format.ts';
import { cleanUp, GatewayProcess, headgate, MAIN } from '../support/gateway-process.ts';
import { TestClient } from '../support/mqtt-clients.ts';

// The commands on a log of which two blocks in the middle are damaged: offsets 2 and 3 of the one
// partition that its one device is in.

const PAGE = 4096;
const COUNT = 6;
const KEPT = [0, 1, 4, 5];

let data: readonly string[];
let partition: number;

const textOf = (n: number) => JSON.stringify({ id: `m-${n}` });

beforeAll(async () => {
  const gateway = await GatewayProcess.start();
  data = ['--data', gateway.data.root];
  const client = await TestClient.connect(gateway.port);
  // One after the other: a block each, of one page, behind the page of the header.
  for (let n = 0; n < COUNT; n++) await client.publish('sensors/a/t', textOf(n));
  await client.end();
  expect(await gateway.stop()).toBe(0);
  const path = join(gateway.data.telemetry, segmentFileName(1));
  const bytes = readFileSync(path);
  for (const page of [3, 4]) bytes[page * PAGE + 70] = (bytes[page * PAGE + 70] ?? 0) ^ 0x10;
  writeFileSync(path, bytes);
  const { lines } = await headgate(['log', 'read', 'readings', '--limit', '1', ...data]);
  partition = (JSON.parse(lines[0] ?? '') as RecordJson).partition;
});

afterAll(cleanUp);

const lostLine = () =>
  `headgate: offsets 2–3 of partition ${partition} are lost; see headgate log verify\n`;

it('log read names what is lost on standard error, prints the rest, and ends with 0', async () => {
  const args = ['log', 'read', 'readings', '--format', 'raw', ...data];
  const all = await headgate(args);
  expect(all.lines).toEqual(KEPT.map(textOf));
  expect(all.stderr).toBe(lostLine());
  expect(all.code).toBe(0);
  const part = await headgate([...args, '--from', '3']);
  expect(part.lines).toEqual([4, 5].map(textOf));
  expect(part.stderr).toBe(lostLine().replace('offsets 2–3', 'offset 3').replace('are', 'is'));
  // Nothing is said of what was not asked for.
  expect((await headgate([...args, '--from', '4'])).stderr).toBe('');
  expect((await headgate([...args, '--limit', '2'])).stderr).toBe('');
  const other = String((partition + 1) % 4);
  expect((await headgate([...args, '--partition', other])).stderr).toBe('');
});

it('log read ends with 0 where nobody reads its standard error', async () => {
  const args = [MAIN, 'log', 'read', 'readings', ...data];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  // Closed before the program has even begun.
  child.stderr.destroy();
  expect(await ended).toBe(0);
});

it('log tail names it once, however often it looks further back', async () => {
  const args = ['log', 'tail', 'readings', '--format', 'raw', '--lines', '4', ...data];
  const tail = await headgate(args);
  expect(tail.lines).toEqual(KEPT.map(textOf));
  expect(tail.stderr).toBe(lostLine());
  expect(tail.code).toBe(0);
});

it('log ls counts by offsets and says so', async () => {
  const { stdout } = await headgate(['log', 'ls', ...data]);
  expect(stdout).toMatch(/^STREAM +STORE +PARTITIONS +KEPT +LOG +OFFSETS /);
  expect(stdout).toMatch(/^readings +telemetry +4 +6 /m);
  expect((await headgate(['log', 'ls', '--help'])).stdout).toContain('offsets kept (lost ones too');
});
