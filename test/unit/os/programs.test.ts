import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { systemPrograms } from '../../../src/os/programs.ts';
import { cleanUp, temporaryFolder } from '../../support/gateway-process.ts';

// A `setpriv` that is refused, as in the sandbox of headgate.service.

afterAll(cleanUp);

const folder = temporaryFolder();
const setpriv = join(folder, 'setpriv');
writeFileSync(setpriv, '#!/bin/sh\necho "setpriv: not permitted" >&2\nexit 127\n');
chmodSync(setpriv, 0o755);
const env = { PATH: `${folder}:${process.env['PATH']}` };

describe('a program that is started', () => {
  test('ends with its parent by setpriv, where there is one', async () => {
    const end = await systemPrograms(env).start('true', []).ended;
    expect(end).toEqual({ code: 127, error: 'setpriv: not permitted' });
  });

  test('does without it as a service, whose processes systemd ends', async () => {
    const service = { ...env, SYSTEMD_EXEC_PID: String(process.pid) };
    expect((await systemPrograms(service).start('true', []).ended).code).toBe(0);
  });

  test('is no service where the variable is that of another process', async () => {
    const inherited = { ...env, SYSTEMD_EXEC_PID: String(process.ppid) };
    expect((await systemPrograms(inherited).start('true', []).ended).code).toBe(127);
  });
});
