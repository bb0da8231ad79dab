import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Logger } from '../../../src/base/logger.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { serviceManager } from '../../../src/os/service-manager.ts';
import { cleanUp, temporaryFolder } from '../../support/gateway-process.ts';
import { until } from '../../support/until.ts';

afterEach(cleanUp);

const SOCKET = { PATH: process.env['PATH'], NOTIFY_SOCKET: '/nowhere/notify' };

interface Warned extends Logger {
  readonly lines: Array<Readonly<Record<string, unknown>>>;
}

function warned(): Warned {
  const lines: Warned['lines'] = [];
  return { ...silentLogger, lines, warn: (fields) => lines.push(fields) };
}

/** A program that notes its words, a line a call, once it may. */
function noting(): { program: string; calls: () => string[]; go: () => void } {
  const folder = temporaryFolder();
  const [program, notes, gate] = ['program', 'notes', 'gate'].map((name) => join(folder, name));
  if (program === undefined || notes === undefined || gate === undefined) throw new Error();
  writeFileSync(
    program,
    `#!/bin/sh\necho "$@" >> ${notes}\nuntil [ -e ${gate} ]; do sleep 0.01; done\n`,
  );
  chmodSync(program, 0o755);
  const calls = () => {
    const text = existsSync(notes) ? readFileSync(notes, 'utf8') : '';
    return text.split('\n').filter((line) => line !== '');
  };
  return { program, calls, go: () => writeFileSync(gate, '') };
}

describe('serviceManager', () => {
  it('is none where nobody wants to hear', () => {
    expect(serviceManager({ env: {}, logger: silentLogger })).toBeUndefined();
    const env = { NOTIFY_SOCKET: '' };
    expect(serviceManager({ env, logger: silentLogger })).toBeUndefined();
  });

  it('hands over one message at a time; what comes meanwhile goes together', async () => {
    const { program, calls, go } = noting();
    const manager = serviceManager({ env: SOCKET, logger: silentLogger, program });
    manager?.tell(['READY=1', 'STATUS=a b']);
    manager?.tell(['STATUS=c', 'WATCHDOG=1']);
    manager?.tell(['STATUS=d', 'WATCHDOG=1']);
    await until('the first is told', () => calls().length === 1);
    manager?.tell(['STOPPING=1']);
    go();
    await until('the rest is told', () => calls().length === 2);
    expect(calls()).toEqual(['READY=1 STATUS=a b', 'STATUS=d WATCHDOG=1 STOPPING=1']);
  });

  it('says once that the program is missing, and tries again', async () => {
    const { program, calls, go } = noting();
    go();
    const logger = warned();
    const here = join(temporaryFolder(), 'later');
    const manager = serviceManager({ env: SOCKET, logger, program: here });
    manager?.tell(['READY=1']);
    await until('it was missed', () => logger.lines.length > 0);
    expect(logger.lines[0]).toMatchObject({
      program: here,
      error: expect.stringMatching('ENOENT'),
    });
    writeFileSync(here, `#!/bin/sh\nexec ${program} "$@"\n`);
    chmodSync(here, 0o755);
    manager?.tell(['WATCHDOG=1']);
    await until('it is there', () => calls().length === 1);
    expect(calls()).toEqual(['READY=1 WATCHDOG=1']);
    expect(logger.lines).toHaveLength(1);
  });

  it('does not feed the watchdog with a word that could not be told before', async () => {
    const { program, calls, go } = noting();
    go();
    const logger = warned();
    const here = join(temporaryFolder(), 'later');
    const manager = serviceManager({ env: SOCKET, logger, program: here });
    manager?.tell(['STATUS=a', 'WATCHDOG=1']);
    await until('it was missed', () => logger.lines.length > 0);
    writeFileSync(here, `#!/bin/sh\nexec ${program} "$@"\n`);
    chmodSync(here, 0o755);
    manager?.tell(['STATUS=stuck']);
    await until('it is there', () => calls().length === 1);
    expect(calls()).toEqual(['STATUS=stuck']);
  });

  it('says once that the program fails, and goes on', async () => {
    const folder = temporaryFolder();
    const program = join(folder, 'program');
    writeFileSync(program, `#!/bin/sh\nfor one; do : > ${folder}/$one; done\nexit 3\n`);
    chmodSync(program, 0o755);
    const logger = warned();
    const manager = serviceManager({ env: SOCKET, logger, program });
    manager?.tell(['A=1']);
    await until('it failed', () => logger.lines.length > 0);
    manager?.tell(['B=1']);
    await until('it was tried again', () => existsSync(join(folder, 'B=1')));
    manager?.tell(['C=1']);
    await until('and again', () => existsSync(join(folder, 'C=1')));
    expect(logger.lines).toEqual([{ program, error: 'it ended with 3' }]);
  });
});
