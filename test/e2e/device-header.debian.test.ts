import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import vectors from '../golden/serial-vectors.json' with { type: 'json' };
import { answer, compile, DEVICE, FIRMWARE, SANITIZED } from '../support/firmware.ts';
import { cleanUp, temporaryFolder } from '../support/gateway-process.ts';

/** The header that firmware copies, by itself: known answers, its ring, and bytes of chance. */
const SEED = Number(process.env['SEED'] ?? 20261125);

const folder = temporaryFolder();
const program = (name: string) => join(folder, name);

beforeAll(() => {
  console.info(`seed ${SEED}`);
  for (const name of ['answers', 'ring', 'fuzz']) compile(`${name}.c`, program(name), SANITIZED);
});

afterAll(cleanUp);

const ask = (lines: readonly string[]) =>
  answer(program('answers'), [], `${lines.join('\n')}\n`)
    .trimEnd()
    .split('\n');

const orNone = (hex: string) => (hex === '' ? '-' : hex);

/** In the words of a test: a frame that the device writes ends what noise began. */
const onTheLine = (wire: string) => `00${wire}`;

const frame = (name: string) => {
  const found = vectors.frames.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no frame ${name}`);
  return found;
};

describe('known answers', () => {
  it('checksums', () => {
    expect(ask(vectors.crc.map(({ bytes }) => `crc ${orNone(bytes)}`))).toEqual(
      vectors.crc.map(({ crc }) => String(crc)),
    );
  });

  it('COBS', () => {
    expect(ask(vectors.cobs.map(({ plain }) => `cobs ${orNone(plain)}`))).toEqual(
      vectors.cobs.map(({ encoded }) => encoded),
    );
  });

  it('frames that it sends', () => {
    const hellos = vectors.frames.filter(({ type }) => type === 1);
    expect(hellos.length).toBe(2);
    expect(ask(hellos.map(({ boot, device }) => `hello ${boot} ${orNone(device ?? '')}`))).toEqual(
      hellos.map(({ wire }) => onTheLine(wire)),
    );
    const readings = vectors.frames.filter(({ type }) => type === 2);
    expect(readings.length).toBe(3);
    const questions = readings.map(({ boot, seq, topic = '', payload = '' }) => {
      const fields = payload.replace(/^\{"boot":\d+,"seq":\d+,/, '').replace(/\}$/, '');
      return `reading ${boot} ${seq} ${orNone(topic)} ${fields}`;
    });
    expect(ask(questions)).toEqual(
      readings.flatMap(({ wire, payload }) => [onTheLine(wire), payload]),
    );
  });

  const nothing = 'acked 0 nacked 0 late 0 bad 0 wall 0 frame 1024 asked 0';
  it.each([
    ['ack', nothing.replace('acked 0', 'acked 1')],
    ['ack without a zero', nothing.replace('late 0', 'late 1')],
    ['nak', nothing.replace('nacked 0', 'nacked 1')],
    ['welcome', nothing.replace('wall 0', 'wall 1764095805123')],
    ['welcome without a clock', nothing.replace('frame 1024', 'frame 512')],
    ['hello', nothing.replace('bad 0', 'bad 1')],
  ])('frames that it hears: %s', (name, said) => {
    const { wire } = frame(name);
    expect(ask([`receive 7 42 ${wire}`])).toEqual([said]);
    // Behind noise that was ended, and behind empty frames.
    const bad = Number(/bad (\d)/.exec(said)?.[1]) + 1;
    const noisy = said.replace(/bad \d/, `bad ${bad}`);
    expect(ask([`receive 7 42 0000051133770000${wire}`])).toEqual([noisy]);
  });

  it.each(vectors.refused)('is not an answer: $name', ({ wire }) => {
    const said = nothing.replace('bad 0', 'bad 1');
    expect(ask([`receive 7 42 ${wire}`])).toEqual([said]);
    const ack = said.replace('acked 0', 'acked 1');
    expect(ask([`receive 7 42 ${wire}${frame('ack').wire}`])).toEqual([ack]);
  });
});

describe('by itself', () => {
  it('keeps, sends again and forgets', () => {
    expect(answer(program('ring'), [String(SEED)])).toContain(`all hold, seed ${SEED}`);
  });

  it('comes to no harm by bytes of chance', () => {
    console.info(answer(program('fuzz'), [String(SEED), '20000']).trimEnd());
  });

  it('takes the memory that it says', () => {
    const [sizes] = ask(['sizes']);
    const [, bytes, record] = /^hg (\d+) record (\d+)/.exec(sizes ?? '') ?? [];
    const text = readFileSync(join(DEVICE, 'headgate.h'), 'utf8').replace(/\s*\n \* */g, ' ');
    expect(text).toContain(`${bytes} on a PC`);
    expect(text).toContain(`${record} elsewhere`);
  });
});

/** Exit code and messages of a compiler that only looks. */
const looks = (compiler: string, args: readonly string[]) => {
  const { status, stderr, error } = spawnSync(compiler, [...args], { encoding: 'utf8' });
  return { status, said: stderr ?? String(error) };
};

describe('compiles without a warning', () => {
  const strict = ['-Wall', '-Wextra', '-Werror', `-I${DEVICE}`, '-o', '/dev/null'];
  const use = join(FIRMWARE, 'use.c');
  it.each([
    ['gcc', ['-std=c99', '-pedantic', '-Wconversion', '-Wshadow', '-O2']],
    ['gcc', ['-std=c11', '-O3']],
    ['g++', ['-std=c++11', '-pedantic', '-x', 'c++']],
    ['g++', ['-std=c++20', '-Wconversion', '-x', 'c++']],
  ])('%s %j', (compiler, args) => {
    expect(looks(compiler, [...strict, ...args, use])).toEqual({ status: 0, said: '' });
  });
});

describe('on an 8-bit AVR', () => {
  const strict = ['-mmcu=atmega328p', '-std=gnu99', '-Os', '-Wall', '-Wextra', '-Werror'];
  const elf = program('avr.elf');

  it('compiles, and takes the memory that it says', () => {
    const sizes = join(FIRMWARE, 'use.c');
    const args = [...strict, `-I${DEVICE}`, sizes, '-o', elf];
    expect(looks('avr-gcc', args)).toEqual({ status: 0, said: '' });
    const named = answer('avr-nm', ['-S', elf]);
    const sizeOf = (name: string) =>
      Number.parseInt(new RegExp(`^\\S+ (\\S+) \\S ${name}$`, 'm').exec(named)?.[1] ?? '', 16);
    const text = readFileSync(join(DEVICE, 'headgate.h'), 'utf8').replace(/\s*\n \* */g, ' ');
    expect(text).toContain(`struct hg is ${sizeOf('size_of_hg')} bytes on an 8-bit AVR`);
    expect(text).toContain(`(${sizeOf('size_of_record')} on an AVR`);
  });

  it('runs, where int has 16 bits', () => {
    const { status, stdout, stderr } = spawnSync('simavr', ['-m', 'atmega328p', elf], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect(status, stderr).toBe(0);
    // simavr says what the serial port does, with colours and a dot for each end of a line.
    expect(stdout + stderr).toContain('all hold');
  });
});
