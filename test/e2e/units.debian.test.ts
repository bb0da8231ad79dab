import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cleanUp, temporaryFolder } from '../support/gateway-process.ts';

// The unit files, as Debian's systemd reads them. It is no process of this machine that does.

const SHIPPED = join(import.meta.dirname, '../../systemd');
const SERVICE = 'headgate.service';
const BRIDGE = 'headgate-serial@ttyUSB0.service';

/** Of systemd 254; before, each is passed over with a line. */
const NEWER = /Unknown key(?: name)? '(?:RestartSteps|RestartMaxDelaySec)' in section/;

let root = '';
const units = () => join(root, 'usr/lib/systemd/system');

beforeAll(() => {
  root = temporaryFolder();
  cpSync('/lib/systemd/system', units(), { recursive: true, verbatimSymlinks: true });
  cpSync(SHIPPED, units(), { recursive: true });
  mkdirSync(join(root, 'usr/bin'), { recursive: true });
  for (const name of ['headgate', 'headgate-serial']) {
    const program = join(root, 'usr/bin', name);
    writeFileSync(program, '#!/bin/sh\n');
    chmodSync(program, 0o755);
  }
});

afterAll(cleanUp);

function analyze(...args: string[]) {
  const words = [args[0] ?? '', `--root=${root}`, '--no-pager', ...args.slice(1)];
  const { status, stdout, stderr } = spawnSync('systemd-analyze', words, { encoding: 'utf8' });
  const lines = stderr.split('\n').filter((line) => line !== '' && !NEWER.test(line));
  return { status, stdout, lines };
}

/** 0 is least. */
function exposureOf(unit: string): number {
  const { stdout } = analyze('security', '--offline=true', unit);
  return Number(/Overall exposure level for [^:]*: ([\d.]+)/.exec(stdout)?.[1] ?? Number.NaN);
}

/** Without a drop-in, and then with it again. */
function without<T>(dropIn: string, ask: () => T): T {
  const own = join(units(), dropIn);
  rmSync(own);
  try {
    return ask();
  } finally {
    cpSync(join(SHIPPED, dropIn), own);
  }
}

describe('the unit files', () => {
  it.each([SERVICE, 'headgate.target', BRIDGE])(
    '%s has nothing that systemd objects to',
    (unit) => {
      expect(analyze('verify', '--man=no', unit)).toMatchObject({ status: 0, lines: [] });
    },
  );

  it('would be objected to for a slip of the pen', () => {
    const file = join(units(), SERVICE);
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('ProtectHome=', 'ProtectHom='));
    const { lines } = analyze('verify', '--man=no', SERVICE);
    writeFileSync(file, text);
    expect(lines.join()).toContain('ProtectHom');
  });
});

describe('the exposure', () => {
  it('is 1.8 at most with the devices of an alert line, and 1.5 without', () => {
    const dropIn = `${SERVICE}.d/gpio.conf`;
    const exposure = {
      open: exposureOf(SERVICE),
      closed: without(dropIn, () => exposureOf(SERVICE)),
    };
    expect(exposure.open).toBeLessThanOrEqual(1.8);
    expect(exposure.closed).toBeLessThanOrEqual(1.5);
    // The drop-in was seen.
    expect(exposure.open).toBeGreaterThan(exposure.closed);
  });

  it('of a bridge is 1.5 at most', () => {
    expect(exposureOf('headgate-serial@.service')).toBeLessThanOrEqual(1.5);
  });
});

it('systemd makes the user and the folders that the units name', () => {
  const made = spawnSync(
    'systemd-sysusers',
    ['--dry-run', `--root=${root}`, join(SHIPPED, 'headgate.sysusers')],
    { encoding: 'utf8' },
  );
  expect(made.status).toBe(0);
  expect(made.stderr + made.stdout).toMatch(/Creating user 'headgate'/);
});
