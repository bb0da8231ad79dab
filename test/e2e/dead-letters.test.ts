import { rmSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/clock.ts';
import type { RecordJson } from '../../src/base/record-json.ts';
import type { RedriveRow } from '../../src/ops/dead-letter-routes.ts';
import {
  cleanUp,
  GatewayProcess,
  headgate,
  startHeadgate,
  temporaryFolder,
} from '../support/gateway-process.ts';
import { noiseOf } from '../support/journals.ts';
import { TestClient } from '../support/mqtt-clients.ts';
import { until } from '../support/until.ts';

// What is no reading: looked at on a live gateway and a stopped one, and sent through again once
// its cause is mended.

afterEach(cleanUp);

const SMALL = { HEADGATE_MQTT_MAX_PAYLOAD_BYTES: '100' };
const BINARY = Buffer.from([0, 255, 254, 128, 10]);
const frame = (n: number) => JSON.stringify({ frame: n, noise: 'x'.repeat(100) });
const frameWithId = (n: number) => JSON.stringify({ id: `f-${n}`, noise: 'x'.repeat(100) });

/** `headgate dead-letter …` on a data folder. */
function letters(folder: string, ...words: readonly string[]) {
  return headgate(['dead-letter', ...words, '--data', folder]);
}

async function payloads(folder: string): Promise<string[]> {
  const { lines } = await headgate(['log', 'read', 'readings', '--data', folder]);
  return lines.map((line) => (JSON.parse(line) as RecordJson).payload);
}

async function outcomes(folder: string, ...words: readonly string[]) {
  const { stdout } = await letters(folder, 'redrive', ...words, '--json');
  const rows = JSON.parse(stdout) as RedriveRow[];
  return rows.map(({ offset, outcome }) => [offset, outcome]);
}

/** A gateway with four dead letters: too large, too large with an id, binary, without a device. */
async function withLetters(): Promise<GatewayProcess> {
  const gateway = await GatewayProcess.start({ env: SMALL });
  const client = await TestClient.connect(gateway.port);
  for (const [topic, payload] of [
    ['sensors/press/frame', frame(1)],
    ['sensors/press/frame', frameWithId(2)],
    ['sensors/boiler/t', BINARY],
    ['sensors//t', '21.5'],
  ] as const) {
    expect(await client.publish(topic, payload)).toBe(true);
  }
  await client.end();
  return gateway;
}

describe('dead-letter ls', () => {
  it('lists them on a live gateway and on a stopped one, and sums up the reasons', async () => {
    const gateway = await withLetters();
    const { root } = gateway.data;
    const live = await letters(root, 'ls');
    expect(live.code).toBe(0);
    expect(live.stderr).toBe('');
    const columns = live.lines.map((line) => line.trim().split(/ +/));
    expect(columns.slice(1, 5).map(([offset, , ...rest]) => [offset, ...rest])).toEqual([
      ['0', 'PAYLOAD_TOO_LARGE', 'press', '122', 'no', 'sensors/press/frame'],
      ['1', 'PAYLOAD_TOO_LARGE', 'press', '123', 'no', 'sensors/press/frame'],
      ['2', 'PAYLOAD_NOT_A_READING', 'boiler', '5', 'no', 'sensors/boiler/t'],
      ['3', 'DEVICE_INVALID', 'unknown', '4', 'no', 'sensors//t'],
    ]);
    expect(columns.slice(5)).toEqual([
      ['2', 'PAYLOAD_TOO_LARGE'],
      ['1', 'PAYLOAD_NOT_A_READING'],
      ['1', 'DEVICE_INVALID'],
      ['4', 'in', 'all'],
    ]);
    expect(await gateway.stop()).toBe(0);
    const stopped = await letters(root, 'ls');
    expect(stopped.code).toBe(0);
    expect(stopped.stdout).toBe(live.stdout.replaceAll(/ no {7}(?=sensors)/g, ' ?        '));
    expect(stopped.stderr).toContain('no daemon answers');
  });

  it('chooses by reason, device, time and number; --json is one array', async () => {
    const gateway = await withLetters();
    const { root } = gateway.data;
    const chosen = async (...words: string[]) => {
      const { code, stdout } = await letters(root, 'ls', '--json', ...words);
      expect(code).toBe(0);
      return (JSON.parse(stdout) as Array<{ offset: number }>).map(({ offset }) => offset);
    };
    expect(await chosen()).toEqual([0, 1, 2, 3]);
    expect(await chosen('--reason', 'PAYLOAD_TOO_LARGE')).toEqual([0, 1]);
    expect(await chosen('--reason', 'DEVICE_INVALID', '--limit', '1')).toEqual([3]);
    expect(await chosen('--device', 'boiler')).toEqual([2]);
    expect(await chosen('--since', '1h')).toEqual([0, 1, 2, 3]);
    expect(await chosen('--until', '1h')).toEqual([]);
    const slip = await letters(root, 'ls', '--reason', 'PAYLOAD_TO_LARGE');
    expect(slip).toMatchObject({ code: 2, stdout: '' });
    expect(slip.stderr).toContain('did you mean PAYLOAD_TOO_LARGE?');
  });
});

describe('dead-letter show', () => {
  it('gives the reason in words, and the payload as text, as bytes or as it came', async () => {
    const gateway = await withLetters();
    const { root } = gateway.data;
    const text = await letters(root, 'show', '0');
    expect(text.code).toBe(0);
    for (const said of [
      'PAYLOAD_TOO_LARGE',
      'larger than mqtt.maxPayloadBytes',
      'raise the limit',
      'sensors/press/frame',
      '{"frame":1,',
    ]) {
      expect(text.stdout).toContain(said);
    }
    const bytes = await letters(root, 'show', '2');
    expect(bytes.stdout).toMatch(/00000000 {2}00 ff fe 80 0a +\|\.{5}\|/);
    expect((await letters(root, 'show', '0', '--raw')).stdout).toBe(frame(1));
    const json = await letters(root, 'show', '2', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      offset: 2,
      topic: 'sensors/boiler/t',
      reason: 'PAYLOAD_NOT_A_READING',
      cause: expect.stringContaining('neither JSON'),
      bytes: 5,
      payload: BINARY.toString('base64'),
      encoding: 'base64',
      redriven: false,
    });
  });

  it('of an offset that was never given out says so', async () => {
    const { root } = (await withLetters()).data;
    const beyond = await letters(root, 'show', '4', '--json');
    expect(beyond.code).toBe(1);
    expect(beyond.stderr).toContain('OFFSET_BEYOND_END: the last one of dead-letter is 3');
    expect(JSON.parse(beyond.stdout)).toMatchObject({ error: { code: 'OFFSET_BEYOND_END' } });
    expect((await letters(root, 'show', 'x')).code).toBe(2);
  });
});

it('what retention has dropped is gone, and that is said', async () => {
  const config = [
    'mqtt: { maxPacketBytes: 8192, maxPayloadBytes: 100 }',
    'log: { segmentBytes: 1048576, retention: { maxBytes: 4194304 } }',
    '',
  ].join('\n');
  const gateway = await GatewayProcess.start({ config });
  const { root } = gateway.data;
  const client = await TestClient.connect(gateway.port);
  // More than the store of events may have: four segments of 64 KiB.
  const random = seededRandom(1);
  const sent = Array.from({ length: 300 }, () => noiseOf(random, 4_000));
  await Promise.all(sent.map((payload) => client.publish('sensors/a/t', payload)));
  await client.end();
  await until('the first is dropped', async () => {
    const { lines } = await letters(root, 'ls', '--limit', '1');
    return Number(lines[1]?.trim().split(' ')[0]) > 0;
  });
  const gone = await letters(root, 'show', '0');
  expect(gone).toMatchObject({ code: 1, stdout: '' });
  expect(gone.stderr).toMatch(/OFFSET_GONE: 0 is not kept: dead-letter begins at \d+/);
  const redriven = await letters(root, 'redrive', '0');
  expect(redriven.code).toBe(1);
  expect(redriven.lines[0]?.trim()).toBe('0  not there: OFFSET_GONE');
});

describe('dead-letter redrive', () => {
  it('before the limit is raised and after it; once, though it is asked for twice', async () => {
    const small = await withLetters();
    const { root } = small.data;
    const before = await letters(root, 'redrive', '--all');
    expect(before.code).toBe(1);
    expect(before.lines.at(-1)).toBe('4 still no reading');
    expect(await small.status()).toMatchObject({ received: 4, deadLettered: 4 });
    expect(await small.stop()).toBe(0);
    const down = await letters(root, 'redrive', '0');
    expect(down.code).toBe(2);
    expect(down.stderr).toContain('NOT_RUNNING');

    const gateway = await GatewayProcess.start({ folder: root });
    const dry = await letters(root, 'redrive', '--all', '--dry-run');
    expect(dry.lines.at(-1)).toBe('2 would be stored, 2 still no reading');
    expect(await payloads(root)).toEqual([]);
    const tooLarge = ['--all', '--reason', 'PAYLOAD_TOO_LARGE'];
    const redriven = await letters(root, 'redrive', ...tooLarge);
    expect(redriven).toMatchObject({ code: 0, stderr: '' });
    expect(redriven.lines.at(-1)).toBe('2 stored');
    expect(await payloads(root)).toEqual([frame(1), frameWithId(2)]);
    expect(await outcomes(root, ...tooLarge)).toEqual([
      [0, 'already-redriven'],
      [1, 'already-redriven'],
    ]);
    expect(await outcomes(root, '0', '1', '2', '9', '--again')).toEqual([
      [0, 'duplicate'],
      [1, 'duplicate'],
      [2, 'no-reading'],
      [9, 'not-there'],
    ]);
    // The device sends its reading once more: it is known by its own id.
    const client = await TestClient.connect(gateway.port);
    expect(await client.publish('sensors/press/frame', frameWithId(2))).toBe(true);
    await client.end();
    expect(await payloads(root)).toHaveLength(2);
    const books = { received: 5, stored: 2, duplicates: 3, deadLettered: 0, rejected: 0 };
    expect(await gateway.status()).toMatchObject(books);
    const { stdout } = await letters(root, 'ls', '--json');
    const marks = (JSON.parse(stdout) as Array<{ redriven: boolean }>).map((row) => row.redriven);
    expect(marks).toEqual([true, true, false, false]);
    // No copy of what is still no reading.
    expect(marks).toHaveLength(4);
  });

  it.each([
    [[], 'name offsets, or --all'],
    [['--all', '1'], 'either offsets or --all'],
    [['1', '--reason', 'PAYLOAD_EMPTY'], '--reason needs --all'],
    [['1', '-3'], '-3'],
    [['1', 'two'], 'two'],
  ])('%j is no command line', async (words, says) => {
    const { code, stderr } = await letters(temporaryFolder(), 'redrive', ...words);
    expect(code).toBe(2);
    expect(stderr).toContain('USAGE');
    expect(stderr).toContain(says);
  });

  it('killed in the middle, and without its notes: each reading once', async () => {
    // A third of them each is what dedup remembers of a device.
    const count = 3_000;
    const small = await GatewayProcess.start({ env: SMALL });
    const { root } = small.data;
    const client = await TestClient.connect(small.port);
    const sent = Array.from({ length: count }, (_, n) => frame(n));
    await Promise.all(
      sent.map((payload, n) => client.publish(`sensors/press-${n % 3}/frame`, payload)),
    );
    await client.end();
    expect(await small.stop()).toBe(0);

    const gateway = await GatewayProcess.start({ folder: root });
    const first = startHeadgate(['dead-letter', 'redrive', '--all', '--data', root]);
    // A step is a hundred: the second begins when the first is noted.
    await until('a step is noted', async () => (await gateway.status()).stored > 100);
    await gateway.kill9();
    await first.ended;
    expect(first.stderr).toContain('NOT_RUNNING');

    const second = await GatewayProcess.start({ folder: root });
    const done = await letters(root, 'redrive', '--all');
    expect(done.code, done.stdout + done.stderr).toBe(0);
    expect(done.lines.at(-1)).toMatch(/already redriven/);
    expect((await payloads(root)).sort()).toEqual(sent.sort());
    expect(await second.stop()).toBe(0);

    // All the notes lost is the worst that a crash before a note can come to.
    rmSync(second.data.state, { recursive: true });
    await GatewayProcess.start({ folder: root });
    const again = await letters(root, 'redrive', '--all');
    expect(again.lines.at(-1)).toBe(`${count} duplicate`);
    expect(await payloads(root)).toHaveLength(count);
  });
});
