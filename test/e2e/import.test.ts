import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { cleanUp, headgate, temporaryFolder } from '../support/gateway-process.ts';

afterEach(cleanUp);

test('the files that are included are read in their order; the report is theirs', async () => {
  const folder = temporaryFolder();
  const included = join(folder, 'conf.d');
  mkdirSync(included);
  const conf = join(folder, 'mosquitto.conf');
  writeFileSync(conf, `include_dir ${included}\nmax_keepalive 3\n`);
  writeFileSync(join(included, 'b.conf'), 'max_keepalive 2\n');
  writeFileSync(join(included, 'A.conf'), 'max_keepalive 1\npassword_file /etc/x\n');
  writeFileSync(join(included, 'notes.txt'), 'max_keepalive 9\n');
  const answer = await headgate(['import', conf, '--json']);
  expect(answer).toMatchObject({ code: 0, stderr: '' });
  const { yaml, rows, warnings } = JSON.parse(answer.stdout) as {
    yaml: string;
    rows: Array<{ file: string; line: number; directive: string }>;
    warnings: string[];
  };
  expect(yaml).toContain('keepaliveLimitSeconds: 3');
  expect(rows.map(({ file, line }) => `${file.slice(folder.length)}:${line}`)).toEqual([
    '/mosquitto.conf:1',
    '/mosquitto.conf:2',
    '/conf.d/A.conf:1',
    '/conf.d/A.conf:2',
    '/conf.d/b.conf:1',
  ]);
  expect(warnings.join()).toContain('password_file');
});

test('to standard output goes the configuration, to standard error the report', async () => {
  const folder = temporaryFolder();
  const conf = join(folder, 'mosquitto.conf');
  writeFileSync(conf, 'listener 1884\nuser root\n');
  const answer = await headgate(['import', conf]);
  expect(answer.code).toBe(0);
  expect(answer.stdout).toContain('port: 1884');
  expect(answer.stderr).toContain(`${conf}:2: user: no meaning here`);
  expect(answer.stderr).toContain('WARNING: mosquitto listened beyond this machine');
  const out = join(folder, 'headgate.yaml');
  expect((await headgate(['import', conf, '--out', out])).code).toBe(0);
  expect(`${readFileSync(out, 'utf8')}`).toBe(answer.stdout);
  expect(await headgate(['check', '--config', out])).toMatchObject({ code: 0 });
  // What is there is somebody's.
  expect(await headgate(['import', conf, '--out', out])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is there already'),
  });
});

test('what cannot be read is named, and nothing is written', async () => {
  const folder = temporaryFolder();
  const out = join(folder, 'headgate.yaml');
  const bad = join(folder, 'bad.conf');
  writeFileSync(bad, 'include_dir /nowhere/at/all\n');
  const binary = join(folder, 'binary.conf');
  writeFileSync(binary, 'a\0b');
  for (const [file, said] of [
    [join(folder, 'none.conf'), 'there is no file'],
    [folder, 'is a folder'],
    [bad, 'bad.conf:1: include_dir names no folder'],
    [binary, 'is no mosquitto.conf'],
  ] as const) {
    const answer = await headgate(['import', file, '--out', out]);
    expect(answer).toMatchObject({ code: 2, stdout: '' });
    expect(answer.stderr).toContain(said);
  }
  expect(existsSync(out)).toBe(false);
  expect((await headgate(['import'])).code).toBe(2);
});
