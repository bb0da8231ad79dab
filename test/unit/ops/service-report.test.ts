import { describe, expect, it } from 'vitest';
import {
  type LogProgress,
  ServiceReport,
  type ServiceSample,
} from '../../../src/ops/service-report.ts';

const QUIET: LogProgress = { attempts: 5, isCommitting: false, pendingBytes: 0 };

const FIRST: ServiceSample = {
  monoMs: 1_000,
  received: 10,
  backlog: 0,
  activeAlerts: 0,
  link: 'up',
  health: 'ok',
  logs: [QUIET, QUIET],
};

/** A look every 20 s, with what has changed since the start; gives what was said at each. */
function looks(...changes: Array<Partial<ServiceSample>>): string[][] {
  const report = new ServiceReport(FIRST);
  return changes.map((change, n) =>
    report.look({ ...FIRST, monoMs: FIRST.monoMs + 20_000 * (n + 1), ...change }),
  );
}

function isFed(said: readonly string[]): boolean {
  return said.includes('WATCHDOG=1');
}

/** Whether the watchdog is fed at each look, with such a log beside a quiet one. */
function fedWith(...logs: LogProgress[]): boolean[] {
  return looks(...logs.map((log) => ({ logs: [QUIET, log] }))).map(isFed);
}

describe('what is said', () => {
  it('has the rate since the look before, the link, the backlog and the alerts', () => {
    const said = looks(
      { received: 2_410, backlog: 7, activeAlerts: 1 },
      { received: 2_460, backlog: 3, link: 'down', activeAlerts: 2 },
      { received: 2_461, link: 'off' },
    );
    expect(said.map(([status]) => status)).toEqual([
      'STATUS=120 readings/s, link up, backlog 7, 1 alert',
      'STATUS=2.5 readings/s, link down, backlog 3, 2 alerts',
      'STATUS=0.1 readings/s, no uplink, 0 alerts',
    ]);
  });

  it('says nothing twice, and feeds the watchdog all the same', () => {
    expect(looks({}, {}, { backlog: 1 })).toEqual([
      ['STATUS=0 readings/s, link up, backlog 0, 0 alerts', 'WATCHDOG=1'],
      ['WATCHDOG=1'],
      ['STATUS=0 readings/s, link up, backlog 1, 0 alerts', 'WATCHDOG=1'],
    ]);
  });

  it('puts first why nothing is acknowledged, in one line', () => {
    const [said] = looks({ health: 'stopped: EIO\nREADY=1' });
    expect(said).toEqual([
      'STATUS=nothing is acknowledged: stopped: EIO READY=1, 0 readings/s, link up, ' +
        'backlog 0, 0 alerts',
      'WATCHDOG=1',
    ]);
  });
});

describe('the watchdog', () => {
  it('is fed while nothing is to be committed', () => {
    expect(fedWith(QUIET, QUIET, QUIET, QUIET, QUIET)).toEqual(Array(5).fill(true));
  });

  it('is fed while commits end, though each look finds one on its way', () => {
    const busy = (attempts: number) => ({ attempts, isCommitting: true, pendingBytes: 900 });
    expect(fedWith(busy(6), busy(90), busy(91))).toEqual([true, true, true]);
  });

  it('is fed while each attempt fails and the next one is made', () => {
    const failed = (attempts: number) => ({ attempts, isCommitting: false, pendingBytes: 0 });
    expect(fedWith(failed(6), failed(8), failed(10), failed(10))).toEqual(Array(4).fill(true));
  });

  it('is not fed while one commit does not end, says for how long, and is fed once it has', () => {
    const held = { attempts: 5, isCommitting: true, pendingBytes: 50 };
    const said = looks(
      { logs: [held, QUIET] },
      { logs: [held, QUIET] },
      { logs: [held, QUIET] },
      { logs: [{ ...held, attempts: 6 }, QUIET] },
    );
    expect(said.map(isFed)).toEqual([true, false, false, true]);
    expect(said[2]?.[0]).toMatch(/^STATUS=no commit ends for 40 s, watchdog is not fed, 0 read/);
    expect(said[3]?.[0]).toMatch(/^STATUS=0 readings/);
  });

  it('is not fed either if a try after a failure does not end: nothing is pending then', () => {
    const held = { attempts: 8, isCommitting: true, pendingBytes: 0 };
    expect(fedWith(held, held)).toEqual([true, false]);
  });

  it('waits for a linger of a minute; what then still waits is committed by nobody', () => {
    const lingers = { attempts: 5, isCommitting: false, pendingBytes: 50 };
    expect(fedWith(...Array<LogProgress>(6).fill(lingers))).toEqual([
      ...[true, true, true, true],
      ...[false, false],
    ]);
  });

  it('takes a log that was quiet for hours for a log that has just begun to wait', () => {
    const held = { attempts: 5, isCommitting: true, pendingBytes: 50 };
    expect(fedWith(QUIET, QUIET, QUIET, QUIET, QUIET, held)).toEqual(Array(6).fill(true));
  });
});
