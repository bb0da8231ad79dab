import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../src/base/logger.ts';
import { Service } from '../../src/service.ts';
import type { Status } from '../../src/status.ts';
import { FakeClock } from '../support/fake-clock.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const log = { attempts: 0, isCommitting: false, pendingBytes: 0 };

/** What the service looks at. */
const STATUS = {
  received: 0,
  backlog: 0,
  activeAlerts: 0,
  health: 'ok',
  mqtt: { host: '127.0.0.1', port: 1883, connections: 0 },
  uplink: { link: 'off' },
  log: { telemetry: log, events: log },
} as unknown as Status;

const DAY_MS = 24 * 3_600_000;

function started(env: NodeJS.ProcessEnv) {
  const said: string[][] = [];
  const errors: unknown[] = [];
  const service = new Service({
    env,
    pid: 42,
    clock: new FakeClock(),
    logger: { ...silentLogger, error: (fields) => errors.push(fields) },
    manager: { tell: (assignments) => said.push([...assignments]) },
  });
  return { service, said, errors };
}

const fedIn = (said: readonly string[][]) => said.filter((one) => one.includes('WATCHDOG=1'));

describe('Service', () => {
  it('is ready once, after the start, and says where it listens', () => {
    const { service, said } = started({});
    service.starting();
    service.ready(() => STATUS);
    expect(said).toEqual([
      ['STATUS=starts: the log is recovered'],
      ['READY=1', 'STATUS=listens on 127.0.0.1, port 1883'],
    ]);
  });

  it('feeds the watchdog three times in its time', () => {
    const { service, said } = started({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '42' });
    service.ready(() => STATUS);
    vi.advanceTimersByTime(60_000);
    expect(fedIn(said)).toHaveLength(3);
  });

  it.each([
    ['that is for another process', { WATCHDOG_USEC: '60000000', WATCHDOG_PID: '41' }],
    ['that is off', { WATCHDOG_USEC: '0' }],
    ['that is no number', { WATCHDOG_USEC: 'soon' }],
    ['that is not there', {}],
  ])('feeds no watchdog %s, and says how it is only when that changes', (_, env) => {
    const { service, said } = started(env);
    service.ready(() => STATUS);
    vi.advanceTimersByTime(DAY_MS);
    expect(said.slice(1)).toEqual([['STATUS=0 readings/s, no uplink, 0 alerts']]);
  });

  it('looks no more once it stops', () => {
    const { service, said } = started({ WATCHDOG_USEC: '60000000' });
    service.ready(() => STATUS);
    service.stopping();
    vi.advanceTimersByTime(DAY_MS);
    expect(said.at(-1)).toEqual(['STOPPING=1', 'STATUS=stops: what it has is committed']);
    expect(fedIn(said)).toEqual([]);
  });

  it('does not feed the watchdog of a daemon whose state can not be told, nor end it', () => {
    const { service, said, errors } = started({ WATCHDOG_USEC: '60000000' });
    let isBroken = false;
    service.ready(() => {
      if (isBroken) throw new Error('broken');
      return STATUS;
    });
    isBroken = true;
    vi.advanceTimersByTime(20_000);
    expect(errors).toEqual([{ error: 'broken' }]);
    expect(fedIn(said)).toEqual([]);
    isBroken = false;
    vi.advanceTimersByTime(20_000);
    expect(fedIn(said)).toHaveLength(1);
  });
});
