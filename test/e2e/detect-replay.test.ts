import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Random, seededRandom } from '../../src/base/clock.ts';
import { cleanUp, GatewayProcess, headgate, temporaryFolder } from '../support/gateway-process.ts';
import { usageOf } from '../support/usage-of.ts';
import { xmlFault } from '../support/xml.ts';

// What the daemon raised while the readings came, and what a replay of its log raises.

const SEED = 4711;
const MESSAGES = 260;
const CONFIG = `
streams:
  readings:
    topics: [sensors/<device>/#]
  packs:
    topics: [packs/<device>]
    format: senml
alerts: { clearScore: 0.3, clearCount: 3, coolDownMs: 0, flood: { maxAlerts: 100 } }
`;

let gateway: GatewayProcess;
let file: string;

function valueAt(i: number, random: Random): number {
  const wild = i === 100 || (i >= 150 && i < 160) || i >= MESSAGES - 4;
  return Number((20 + random() + (wild ? 50 : 0)).toFixed(3));
}

beforeAll(async () => {
  gateway = await GatewayProcess.start({ config: CONFIG });
  file = join(temporaryFolder(), 'headgate.yaml');
  writeFileSync(file, CONFIG);
  const random = seededRandom(SEED);
  const client = await connectAsync(gateway.url, { reconnectPeriod: 0 });
  for (let i = 0; i < MESSAGES; i++) {
    const value = valueAt(i, random);
    const sent = [
      client.publishAsync('sensors/d1/room', JSON.stringify({ t: value, h: 3 }), { qos: 1 }),
      client.publishAsync('sensors/d2/room', String(20 + random()), { qos: 1 }),
      client.publishAsync(
        'packs/p1',
        JSON.stringify([
          { n: 'a', v: value },
          { n: 'b', v: 1 },
        ]),
        {
          qos: 1,
        },
      ),
    ];
    await Promise.all(sent);
  }
  await client.endAsync();
  await gateway.until('the alerts are there', ({ alerts }) => alerts >= 6);
}, 60_000);

afterAll(cleanUp);

interface Event {
  readonly alert: string;
  readonly kind: 'begin' | 'end';
  readonly at: number;
  readonly cause: { readonly stream: string };
  readonly value: number;
  readonly expected: [number, number];
  readonly score: number;
  readonly reason: string;
}

/** What the stream of alerts has of a stream. */
async function raised(stream: string): Promise<Event[]> {
  const where = ['--data', gateway.data.root, '--format', 'raw'];
  const { lines } = await headgate(['log', 'read', 'alerts', ...where]);
  const events = lines.map((line) => JSON.parse(line) as Event);
  return events.filter(({ cause }) => cause.stream === stream);
}

const replay = (...args: string[]) =>
  headgate(['detect', 'replay', '--data', gateway.data.root, '--config', file, ...args]);

interface Replayed {
  readonly records: number;
  readonly values: number;
  readonly learning: number;
  readonly series: number;
  readonly raised: number;
  readonly active: number;
  readonly alerts: ReadonlyArray<Event & { readonly began: number; readonly ended?: number }>;
}

async function replayed(...args: string[]): Promise<Replayed> {
  const { code, stdout } = await replay('--json', ...args);
  expect(code).toBe(0);
  return JSON.parse(stdout) as Replayed;
}

/** Everything below a folder: path, size and when it was changed. */
function footprint(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => {
      const { size, mtimeMs } = statSync(join(parentPath, name));
      return `${parentPath}/${name} ${size} ${mtimeMs}`;
    })
    .sort();
}

describe(`a replay (seed ${SEED})`, () => {
  it.each(['readings', 'packs'])('of %s raises what the daemon raised', async (stream) => {
    const daemon = await raised(stream);
    const begins = daemon.filter(({ kind }) => kind === 'begin');
    expect(begins).toHaveLength(3);
    const { alerts, ...totals } = await replayed('--stream', stream);
    const facts = ({ alert, value, expected, score, reason, cause }: Event) => {
      return { alert, value, expected, score, reason, cause };
    };
    expect(alerts.map(facts)).toEqual(begins.map(facts));
    const ends = daemon.filter(({ kind }) => kind === 'end').map(({ at }) => at);
    expect(alerts.flatMap(({ ended }) => ended ?? [])).toEqual(ends);
    expect(alerts.at(-1)).not.toHaveProperty('ended');
    const [records, series] = stream === 'readings' ? [2 * MESSAGES, 3] : [MESSAGES, 2];
    const values = series * MESSAGES;
    expect(totals).toMatchObject({ records, series, values });
    // All but the anomalies: so few are not enough to know anything.
    expect(values - totals.learning).toBe(15);
    expect(totals).toMatchObject({ raised: 3, active: 1 });
  });

  it('with other settings raises what they would', async () => {
    const calm = join(temporaryFolder(), 'calm.yaml');
    writeFileSync(
      calm,
      `${CONFIG.replace('flood:', 'minDurationMs: { warning: 3600000 }, flood:')}`,
    );
    const { code, stdout, stderr } = await headgate([
      ...['detect', 'replay', '--data', gateway.data.root, '--config', calm],
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toBe(
      `headgate: ${2 * MESSAGES} records, ${3 * MESSAGES} values of 3 series, ` +
        `${3 * MESSAGES - 15} of them learnt from; 0 alerts\n`,
    );
  });

  it('is a table by default, an alert a line', async () => {
    const { code, lines, stderr } = await replay();
    expect(code).toBe(0);
    expect(lines[0]).toMatch(/^BEGAN +LASTED +.*WHY$/);
    expect(lines).toHaveLength(4);
    expect(lines[1]).toMatch(
      /^\d{4}-\S+Z +\d+ m?s +warning range +0\.\d+ +room\.t of d1 is [67]\d\.?\d*, too high, /,
    );
    expect(stderr).toMatch(/; 3 alerts, 1 active at the end\n$/);
  });

  it('is a value a row as CSV, with the band and the alert', async () => {
    const { stdout } = await replay('--format', 'csv', '--device', 'd1', '--metric', 'room.t');
    const [head, ...rows] = stdout.trimEnd().split('\r\n');
    expect(head).toBe('time,device,metric,value,low,high,score,state,fault,alert');
    expect(rows).toHaveLength(MESSAGES);
    const random = seededRandom(SEED);
    const cells = rows.map((row) => row.split(','));
    for (const [i, cell] of cells.entries()) {
      expect(Number(cell[3])).toBe(valueAt(i, random));
      // The other device has drawn one as well.
      random();
    }
    const alerts = cells.map((cell) => cell[9]);
    expect(alerts.filter((alert) => alert === 'begin')).toHaveLength(3);
    expect(alerts[100]).toBe('begin');
    expect(alerts[101]).toBe('active');
    expect(cells[5]?.[7]).toBe('learning');
    expect(cells[100]?.[7]).toBe('anomalous');
    expect(Number(cells[60]?.[4])).toBeLessThan(Number(cells[60]?.[5]));
  });

  it('is a chart as SVG, in a file that is there when it is whole', async () => {
    const out = join(temporaryFolder(), 'chart.svg');
    const { code, stdout } = await replay('--format', 'svg', '--out', out);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    const svg = readFileSync(out, 'utf8');
    expect(xmlFault(svg)).toBeUndefined();
    expect(svg.match(/class="t"/g)).toHaveLength(3);
    expect(svg.includes('d1 / room.t')).toBe(true);
    expect(svg.match(/<title>20\S+Z room\.t of d1 is /g)).toHaveLength(3);
  });

  it('shows a part, and learns from what came before if it is told to', async () => {
    const from = String(MESSAGES - 50);
    const cold = await replayed('--device', 'd1', '--from', from);
    expect(cold).toMatchObject({ values: 100, learning: 96, raised: 1 });
    const warm = await replayed('--device', 'd1', '--from', from, '--learn-from', 'earliest');
    expect(warm).toMatchObject({ values: 100, learning: 96, raised: 1, active: 1 });
    const all = await replayed('--device', 'd1');
    expect(warm.alerts).toEqual(all.alerts.slice(-1));
    const { began = 0 } = all.alerts[1] ?? {};
    const until = await replayed('--to', new Date(began).toISOString());
    expect(until.alerts.map(({ began: at }) => at)).toEqual([all.alerts[0]?.began]);
    const since = await replayed('--from', new Date(began).toISOString(), '--learn-from', '0');
    expect(since.alerts).toEqual(all.alerts.slice(1));
  });

  it('says why there is nothing to see', async () => {
    const nobody = await replay('--device', 'nobody');
    expect(nobody).toMatchObject({ code: 0, stdout: '' });
    expect(nobody.stderr).toMatch(/ 0 values of 0 series; 0 alerts\nheadgate: no value is of /);
    expect(nobody.stderr).toMatch(/of device nobody; there are d1, d2\n$/);
    const metric = await replay('--device', 'd1', '--metric', 'room.q');
    expect(metric.stderr).toMatch(/no value is of metric room.q of device d1; did you mean /);
    const late = await replay('--from', '9999-01-01');
    expect(late).toMatchObject({ code: 0, stdout: '' });
    // Of each device in a partition of its own.
    const kept = `readings holds the offsets 0 to ${MESSAGES - 1} in partition`;
    expect(late.stderr).toContain(`no record is in this range; ${kept}`);
    const beyond = await replay('--from', String(MESSAGES + 1));
    expect(beyond).toMatchObject({ code: 1, stdout: '' });
    const end = `readings ends before ${MESSAGES}; ${MESSAGES + 1} is beyond`;
    expect(beyond.stderr).toContain(`OFFSET_BEYOND_END: --from: ${end}`);
    expect((await replay('--from', String(MESSAGES))).code).toBe(0);
    const other = await headgate([
      ...['detect', 'replay', '--stream', 'packs', '--data', gateway.data.root],
    ]);
    expect(other.code).toBe(0);
    expect(other.stderr).toContain(`of ${MESSAGES} records none has a sample in format auto`);
    const both = await replay('--json', '--format', 'csv');
    expect(both.code).toBe(2);
    expect(both.stderr).toContain('either --json or --format csv');
    const cold = await replay('--from', String(MESSAGES - 5));
    expect(cold.stderr).toContain('--learn-from begins before --from');
  });

  it('changes nothing, and gives the same beside the daemon and without it', async () => {
    const live = await replayed();
    expect(await gateway.stop()).toBe(0);
    const before = footprint(gateway.data.root);
    expect(before.length).toBeGreaterThan(3);
    expect(await replayed()).toEqual(live);
    expect((await replay('--format', 'csv')).code).toBe(0);
    expect(footprint(gateway.data.root)).toEqual(before);
  });
});

it.each([
  [['--format', 'xml'], '--format is one of table, csv, svg, json'],
  [
    ['--from', 'yesterday'],
    '--from: yesterday is none of these: earliest, an offset (4711), a time',
  ],
  [['--to', 'never'], '--to: never is neither a time'],
  [['--learn-from', 'x'], '--learn-from: x is none of these'],
  [['--from', '1h', '--to', '2h'], '--from is not before --to'],
  [['--from', '2026-05-04', '--to', '2026-05-04'], '--from is not before --to'],
  [['--from', '10', '--learn-from', '11'], '--learn-from is later than --from'],
  [['--from', '2h', '--learn-from', '1h'], '--learn-from is later than --from'],
  [['--learn-from', '1'], '--learn-from is later than --from'],
  [['--from', '10', '--learn-from', '9999-01-01'], '--learn-from is later than --from'],
])('detect replay %j is a wrong command line', async (args, says) => {
  expect(await usageOf(['detect', 'replay', '--data', gateway.data.root, ...args])).toContain(says);
});
