import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  answerOf,
  cleanUp,
  headgate,
  MAIN,
  Running,
  temporaryFolder,
} from '../support/gateway-process.ts';
import { usageOf } from '../support/usage-of.ts';

// Words that are not understood, and the help that explains those that are.

afterAll(cleanUp);

describe('a wrong command line ends with 2 and says what is right', () => {
  it.each([
    { args: ['frobnicate'], says: 'no command frobnicate' },
    { args: ['log'], says: 'no command log' },
    { args: ['log', 'shred'], says: 'log read' },
    { args: ['log', '--follow'], says: 'log read, log tail' },
    { args: ['log', 'raed'], says: 'did you mean log read?' },
    { args: ['statsu'], says: 'did you mean status?' },
    { args: ['alert', 'ls'], says: 'no command alert; did you mean alerts ls?' },
    { args: ['alert', 'lss'], says: 'did you mean alerts ls?' },
    { args: ['alert'], says: 'no command alert; did you mean alerts ls or alerts ack?' },
    { args: ['alert', '--bogus'], says: 'did you mean alerts ls or alerts ack?' },
    { args: ['run', '--prot', '1'], says: 'did you mean --port?\nusage: headgate run' },
    {
      args: ['run', '--port', '-1'],
      says: '--port needs a value, and -1 looks like an option (--port=-1 would',
    },
    { args: ['log', 'read', 'readings', '--from', '-5'], says: '(--from=-5 would be its value)' },
    { args: ['sim', '--count=-1'], says: '--count: -1 is not a whole number from 0' },
    { args: ['sim', '--count'], says: '--count needs a value\nusage: headgate sim' },
    {
      args: ['log', 'tail', 'readings', '-n', '-1'],
      says: 'looks like an option (--lines=-1 would',
    },
    { args: ['sim', '--seed', '--host'], says: '--seed needs a value, and --host looks like' },
    {
      args: ['log', 'read', 'readings', '--from', 'latest'],
      says: 'latest is neither earliest nor',
    },
    { args: ['run', '--port', 'many'], says: '--port: many' },
    { args: ['run', '--port', '70000'], says: '65535' },
    { args: ['run', 'now'], says: 'too many arguments' },
    { args: ['log', 'read'], says: 'usage: headgate log read STREAM' },
    { args: ['log', 'read', 'readings', '--format', 'xml'], says: 'ndjson' },
    { args: ['log', 'read', 'readings', '--limit', '-1'], says: 'usage: headgate log read' },
    { args: ['status', '--json=maybe'], says: 'usage: headgate status' },
    { args: ['sim', '--repeats', '200'], says: 'percentage' },
    { args: ['sim', '--port', '0'], says: '--port: 0 is not a whole number from 1 to 65535' },
    { args: ['sim', '--devices', '0'], says: '--devices: 0 is not a whole number from 1' },
    { args: ['gpio'], says: 'no command gpio; there are: gpio list, gpio test, gpio safe' },
    { args: ['gpio', 'test'], says: 'no line is configured: set gpio.pin or gpio.led, or name' },
    { args: ['gpio', 'test', '--pin', '17x'], says: '--pin: 17x is not a whole number' },
    { args: ['gpio', 'test', '--pin', '1', '--seconds', '0'], says: '--seconds: 0 is not a' },
    { args: ['detect'], says: 'no command detect; there are: detect replay, detect score' },
    { args: ['detect', 'score'], says: 'usage: headgate detect score DIR' },
    { args: ['consumer'], says: 'no command consumer; there are: consumer ls' },
    { args: ['--config', 'x.yaml', 'check'], says: '--config stands behind the command' },
    { args: ['check', '--config', ''], says: '--config is empty\nusage: headgate check' },
    { args: ['status', '--data='], says: '--data is empty\nusage: headgate status' },
    { args: ['log', 'read', 'readings', '--device', ''], says: '--device is empty' },
    { args: ['log', '--bogus', '--help'], says: 'log read, log tail' },
  ])('headgate $args', async ({ args, says }) => {
    expect(await usageOf(args)).toContain(says);
  });

  it('without a word there is help, and 2; with --help 0', async () => {
    const bare = await headgate([]);
    expect(bare.code).toBe(2);
    const asked = await headgate(['--help']);
    expect(asked.code).toBe(0);
    expect(asked.stdout).toBe(bare.stdout);
    for (const name of ['run', 'demo', 'check', 'status', 'sim', 'log read', 'log verify']) {
      expect(asked.stdout).toContain(`headgate ${name}`);
    }
    const one = await headgate(['log', 'read', '--help']);
    expect(one).toMatchObject({ code: 0, stderr: '' });
    expect(one.stdout).toContain('usage: headgate log read STREAM');
    expect(one.stdout).toMatch(/^ {2}--limit +records at most; all by default$/m);
    expect(one.stdout).toMatch(/^ {2}--format .* ndjson by default$/m);
    expect(one.stdout).toMatch(/^ {2}--from +earliest, which is the default, /m);
    const tail = await headgate(['log', 'tail', '--help']);
    expect(tail.stdout).toMatch(/^ {2}--format .* text by default$/m);
    const sim = await headgate(['sim', '--help']);
    expect(sim.stdout).toMatch(/^ {2}--port +the gateway's MQTT port; 1883 by default$/m);
    expect(await headgate(['help', 'log', 'read'])).toEqual(one);
    const group = await headgate(['log', '--help']);
    expect(group).toMatchObject({ code: 0, stderr: '' });
    for (const name of ['ls', 'read', 'tail', 'verify']) {
      expect(group.stdout).toContain(`headgate log ${name}`);
    }
    expect(group.stdout).not.toContain('headgate status');
    expect(await headgate(['help', 'log'])).toEqual(group);
    for (const word of ['--version', '-v', 'version']) {
      expect((await headgate([word])).stdout, word).toMatch(/^\d+\.\d+\.\d+\n$/);
    }
  });
});

describe('a data folder that is a file', () => {
  it.each([
    ['check', '--json'],
    ['run', '--port', '0'],
    ['log', 'verify', '--json'],
    ['log', 'read', 'readings'],
    ['consumer', 'ls', '--json'],
  ])('headgate %s %s: says so', async (...args) => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, 'no folder');
    const { code, stdout, stderr } = await headgate([...args, '--data', file]);
    expect(code).toBe(2);
    expect(stderr).toContain(`headgate: DATA_NO_FOLDER: ${file} is no folder`);
    if (!args.includes('--json')) return;
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'DATA_NO_FOLDER' } });
  });
});

describe('--json', () => {
  it('gives an object for every error, of the system and of the words too', async () => {
    const wrong = await headgate(['log', 'verify', '--json', 'x']);
    expect(wrong.code).toBe(2);
    expect(JSON.parse(wrong.stdout)).toMatchObject({ error: { code: 'USAGE' } });
    const system = await headgate(['log', 'ls', '--json', '--data', '/dev/null/x']);
    expect(system.code).toBe(1);
    expect(JSON.parse(system.stdout)).toMatchObject({ error: { code: 'ENOTDIR' } });
  });
});

describe.each(['bench', 'detect'])('the program %s of the bench', (name) => {
  const program = join(MAIN, `../../test/bench/${name}.js`);
  const bench = (...args: string[]) => answerOf(new Running(process.execPath, [program, ...args]));

  it('has a help, and does not begin on a slip', async () => {
    const asked = await bench('--help');
    expect(asked).toMatchObject({ code: 0, stderr: '' });
    expect(asked.stdout).toMatch(/^usage: npm run bench/);
    const slip = await bench('--huge');
    expect(slip).toMatchObject({ code: 2, stdout: '' });
    expect(slip.stderr).toContain('--huge');
    expect(slip.stderr).toContain('usage: npm run bench');
    expect(slip.stderr).not.toContain('    at ');
  });
});
