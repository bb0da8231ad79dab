import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { HeadgateError } from '../../../src/base/errors.ts';
import { createLogger, type LoggerOptions } from '../../../src/os/logger.ts';
import { MAX_CHANGES, MAX_WINDOWS } from '../../../src/os/repeat-filter.ts';

const NOON_MS = Date.UTC(2026, 0, 2, 12, 0, 0);
let nowMs = 0;
const clock = { wallMs: () => NOON_MS + nowMs, monoMs: () => nowMs };

/** Moves the clock and the timers together. */
function pass(ms: number): void {
  nowMs += ms;
  vi.advanceTimersByTime(ms);
}

function open(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const given = { level: 'info', format: 'text', clock, env: {}, isTty: false, write } as const;
  return { lines, logger: createLogger({ ...given, ...options }) };
}

beforeEach(() => {
  nowMs = 0;
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('formats', () => {
  test('json is one object a line, with the time in ISO 8601', () => {
    const { lines, logger } = open({ format: 'json' });
    logger.warn({ device: 'd1', count: 3 }, 'device is slow');
    expect(lines).toHaveLength(1);
    expect(lines[0]?.endsWith('\n')).toBe(true);
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'warn',
      time: '2026-01-02T12:00:00.000Z',
      device: 'd1',
      count: 3,
      msg: 'device is slow',
    });
  });

  test('a field cannot take the place of the time, the level or the message', () => {
    const { lines, logger } = open({ format: 'json' });
    logger.info({ time: 1, level: 2, msg: 3 }, 'started');
    expect(lines[0]?.match(/"time":/g)).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      msg: 'started',
      time_: 1,
      level_: 2,
      msg_: 3,
    });
  });

  test('text is time, level, message and fields', () => {
    const { lines, logger } = open();
    logger.info({ port: 1883, host: '127.0.0.1' }, 'listening');
    expect(lines).toEqual(['12:00:00Z info  listening port=1883 host=127.0.0.1\n']);
  });

  test('journal starts with the priority that journald reads', () => {
    const { lines, logger } = open({ format: 'journald', level: 'debug' });
    logger.debug({}, 'one');
    logger.info({ a: 1 }, 'two');
    logger.warn({}, 'three');
    logger.error({}, 'four');
    expect(lines).toEqual(['<7>one\n', '<6>two a=1\n', '<4>three\n', '<3>four\n']);
  });

  test.each([
    { env: { JOURNAL_STREAM: '8:1234' }, isTty: false, start: '<6>' },
    { env: { JOURNAL_STREAM: '8:1234' }, isTty: true, start: '12:00' },
    { env: {}, isTty: true, start: '12:00' },
    { env: {}, isTty: false, start: '{"level":"info"' },
  ])('auto with $env and tty $isTty starts with $start', ({ env, isTty, start }) => {
    const { lines, logger } = open({ format: 'auto', env, isTty });
    logger.info({}, 'started');
    expect(lines[0]?.startsWith(start), lines[0]).toBe(true);
  });

  test('lines below the level are not written', () => {
    const { lines, logger } = open({ level: 'warn' });
    logger.debug({}, 'one');
    logger.info({}, 'two');
    logger.warn({}, 'three');
    logger.error({}, 'four');
    expect(lines.map((line) => line.slice(10, 15).trim())).toEqual(['warn', 'error']);
  });
});

describe('what a line may hold', () => {
  test('a value from outside can neither break the line nor forge a field', () => {
    const { lines, logger } = open({ format: 'journald' });
    logger.info(
      { topic: 'a b\n<0>kernel: boo', client: 'x" level=error', esc: '\u001b[2J\u009b' },
      'seen',
    );
    expect(lines).toEqual([
      '<6>seen topic="a b\\n<0>kernel: boo" client="x\\" level=error" esc="\\u001b[2J\\u009b"\n',
    ]);
  });

  test.each(['json', 'text', 'journald'] as const)('secrets are masked in %s', (format) => {
    const { lines, logger } = open({ format });
    const nested = { deep: [{ authToken: 'hush-1' }] };
    const fields = { password: 'hush-2', Secret: 'hush-3', url: 'mqtt://me:hush-4@cloud' };
    logger.info({ ...fields, nested, passwordFile: '/etc/shown' }, 'connecting');
    expect(lines[0]).not.toContain('hush');
    expect(lines[0]).toContain('/etc/shown');
  });

  test('an error shows its code, its message and its cause', () => {
    const { lines, logger } = open();
    const full = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
    const error = new HeadgateError('LOG_NOT_DURABLE', 'segment 7', { cause: full });
    logger.error({ error }, 'commit failed');
    expect(lines).toEqual([
      '12:00:00Z error commit failed ' +
        'error="LOG_NOT_DURABLE: segment 7, caused by ENOSPC: no space left"\n',
    ]);
  });

  test('an error that nobody foresaw shows where it came from', () => {
    const { lines, logger } = open({ format: 'json' });
    logger.error({ error: new TypeError('x is not a function') }, 'part failed');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      error: {
        code: 'TypeError',
        message: 'x is not a function',
        at: expect.stringMatching('logger.test'),
      },
    });
  });

  test.each(['json', 'text'] as const)(
    'huge, circular and odd values are cut down in %s',
    (format) => {
      const { lines, logger } = open({ format });
      const loop: Record<string, unknown> = {};
      loop['self'] = loop;
      const many = Array.from({ length: 10_000 }, (_, index) => index);
      const bytes = new Uint8Array(5);
      logger.info({ text: 'x'.repeat(1e6), loop, many, bytes, big: 2n ** 70n, f() {} }, 'odd');
      expect(lines[0]?.length).toBeLessThan(2000);
      expect(lines[0]).toContain('5 bytes');
      expect(lines[0]).toContain('1180591620717411303424');
    },
  );
});

describe('repeats', () => {
  test('are counted for a minute and then summed up in one line', () => {
    const { lines, logger } = open({ format: 'journald' });
    logger.warn({ device: 'd1' }, 'link lost');
    for (let device = 2; device <= 313; device++)
      logger.warn({ device: `d${device}` }, 'link lost');
    pass(59_999);
    expect(lines).toEqual(['<4>link lost device=d1\n']);
    pass(1);
    expect(lines.slice(1)).toEqual(['<4>link lost repeated 312 times in 60 s\n']);
    logger.warn({ device: 'd9' }, 'link lost');
    expect(lines.slice(2)).toEqual(['<4>link lost device=d9\n']);
  });

  test('a line that came once has no summary', () => {
    const { lines, logger } = open();
    logger.info({}, 'started');
    pass(120_000);
    expect(lines).toHaveLength(1);
  });

  test('another level, message, code or repeatKey is another line', () => {
    const { lines, logger } = open({ format: 'journald' });
    logger.warn({}, 'a');
    logger.error({}, 'a');
    logger.warn({}, 'b');
    logger.warn({ code: 'EIO' }, 'a');
    logger.warn({ error: Object.assign(new Error('x'), { code: 'ENOSPC' }) }, 'a');
    logger.warn({ repeatKey: 'd1.temp' }, 'a');
    expect(lines).toHaveLength(6);
    expect(lines[5]).toBe('<4>a\n');
  });

  test('of a subject the first changes are shown at once, and at last the last', () => {
    const { lines, logger } = open({ format: 'journald' });
    const flap = (state: string, level: 'info' | 'warn') =>
      logger[level]({ subject: 'link', at: state }, `the link is ${state}`);
    for (let i = 0; i < MAX_CHANGES / 2; i++) {
      flap('up', 'info');
      flap('down', 'warn');
    }
    expect(lines).toHaveLength(MAX_CHANGES);
    expect(lines.at(-1)).toBe('<4>the link is down at=down\n');
    for (let i = 0; i < 3; i++) {
      flap('down', 'warn');
      flap('up', 'info');
    }
    expect(lines).toHaveLength(MAX_CHANGES);
    pass(60_000);
    expect(lines.slice(MAX_CHANGES)).toEqual([
      '<6>the link is up (the last of 6 changes in 60 s) at=up\n',
    ]);
  });

  test('a few changes of a subject are all shown, without a summary', () => {
    const { lines, logger } = open({ format: 'journald' });
    for (const state of ['up', 'down', 'up']) logger.info({ subject: 'link' }, state);
    logger.info({ subject: 'other link' }, 'up');
    pass(60_000);
    expect(lines).toEqual(['<6>up\n', '<6>down\n', '<6>up\n', '<6>up\n']);
  });

  test('the summary keeps the code', () => {
    const { lines, logger } = open({ format: 'journald' });
    for (let i = 0; i < 3; i++) logger.error({ code: 'EIO' }, 'read failed');
    logger.flush();
    expect(lines[1]).toBe('<3>read failed repeated 2 times in 1 s code=EIO\n');
  });

  test('debug lines all go through', () => {
    const { lines, logger } = open({ level: 'debug' });
    for (let i = 0; i < 3; i++) logger.debug({ i }, 'seen');
    expect(lines).toHaveLength(3);
  });

  test('close says what is left and ends the collapsing', () => {
    const { lines, logger } = open({ format: 'journald' });
    logger.info({}, 'tick');
    logger.info({}, 'tick');
    nowMs += 7000;
    logger.close();
    expect(lines[1]).toBe('<6>tick repeated 1 times in 7 s\n');
    expect(vi.getTimerCount()).toBe(0);
    logger.info({}, 'tick');
    logger.info({}, 'tick');
    expect(lines).toHaveLength(4);
  });

  test('the clock ends a window whose timer is late', () => {
    const { lines, logger } = open({ format: 'journald' });
    logger.info({}, 'tick');
    logger.info({}, 'tick');
    nowMs += 90_000;
    logger.info({}, 'tick');
    expect(lines).toEqual(['<6>tick\n', '<6>tick repeated 1 times in 90 s\n', '<6>tick\n']);
  });

  test('beyond the limit of kinds, the oldest one is summed up early', () => {
    const { lines, logger } = open({ format: 'journald' });
    logger.info({}, 'first');
    logger.info({}, 'first');
    for (let i = 1; i < MAX_WINDOWS; i++) logger.info({}, `kind ${i}`);
    expect(vi.getTimerCount()).toBe(MAX_WINDOWS);
    logger.info({}, 'one too many');
    expect(vi.getTimerCount()).toBe(MAX_WINDOWS);
    expect(lines.slice(-2)).toEqual(['<6>first repeated 1 times in 1 s\n', '<6>one too many\n']);
  });
});

describe('stdout', () => {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  let folder = '';

  // A process of its own needs JavaScript: these few files are built aside, so that no earlier
  // build of the whole has a say.
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'headgate-logger-'));
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    const project = {
      extends: join(root, 'tsconfig.json'),
      compilerOptions: {
        rootDir: root,
        outDir: folder,
        typeRoots: [join(root, 'node_modules/@types')],
      },
      include: [],
      files: [join(root, 'src/os/logger.ts'), join(root, 'src/base/clock.ts')],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(project));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const built = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' });
    expect(built.stdout).toBe('');
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  /** The path of a program that runs `body` with a `logger`. */
  function programOf(body: string): string {
    const program = join(folder, 'program.js');
    const lines = [
      "import { createLogger } from './src/os/logger.js';",
      "import { systemClock as clock } from './src/base/clock.js';",
      "const options = { level: 'info', format: 'journald', clock, env: {}, isTty: false };",
      'const logger = createLogger(options);',
      body,
    ];
    writeFileSync(program, lines.join('\n'));
    return program;
  }

  /** Runs it through `shell`, where "$@" is the program. */
  function run(body: string, shell = 'exec "$@"') {
    const args = ['-c', shell, 'sh', process.execPath, programOf(body)];
    return spawnSync('sh', args, { encoding: 'utf8', timeout: 8000 });
  }

  test('the last words before a crash are written', () => {
    const body = `
      for (const word of ['one', 'two', 'three']) logger.error({}, word);
      process.kill(process.pid, 'SIGKILL');`;
    expect(run(body)).toMatchObject({ signal: 'SIGKILL', stdout: '<3>one\n<3>two\n<3>three\n' });
  });

  test('a summary that is due keeps no process alive', () => {
    const body = "logger.info({}, 'one'); logger.info({}, 'one');";
    expect(run(body)).toMatchObject({ status: 0, stdout: '<6>one\n' });
  });

  test('a reader that is gone does not end the process', () => {
    const body = `
      for (let i = 0; i < 1000; i++) logger.info({ text: 'x'.repeat(900) }, 'line ' + i);
      process.stderr.write('still here');`;
    expect(run(body, '"$@" | head -n 1 > /dev/null').stderr).toBe('still here');
  });

  test('a reader that has stopped reading does not stop the process', async () => {
    vi.useRealTimers();
    // What journald's socket looks like when it hangs, once something made it non-blocking.
    const body = `
      process.stdout._handle.setBlocking(false);
      for (let i = 0; i < 3000; i++) logger.info({ text: 'x'.repeat(900) }, 'line ' + i);
      process.kill(process.pid, 'SIGUSR2');`;
    const stdio = ['ignore', 'pipe', 'inherit'] as const;
    const child = spawn(process.execPath, [programOf(body)], { stdio: [...stdio], timeout: 8000 });
    const [, signal] = await once(child, 'exit');
    child.stdout?.destroy();
    expect(signal).toBe('SIGUSR2');
  });
});
