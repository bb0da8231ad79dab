import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CONFIG_KEYS } from '../../../src/ops/config-keys.ts';
import { showProblem } from '../../../src/ops/load-config.ts';
import { configOf, load, problemOf, problemsOf } from '../../support/config-loading.ts';

describe('a good configuration', () => {
  test('is the defaults where the file is silent', () => {
    const config = configOf('');
    expect(config.mqtt).toMatchObject({ host: '127.0.0.1', port: 1883, allowAnonymous: false });
    expect(config.streams).toEqual({
      readings: {
        topics: ['sensors/<device>/#'],
        partitions: 4,
        lingerMs: undefined,
        ack: 'durable',
        format: 'auto',
        metrics: [],
        dedup: {
          mode: 'auto',
          windowMs: 86_400_000,
          windowIds: 1024,
          refresh: false,
          payloadWindowMs: 60_000,
          counterBits: 0,
          idFrom: 'payload',
          bootFrom: 'payload',
        },
      },
    });
    expect(config.gpio.pin).toBeUndefined();
    expect(config.uplink.url).toBe('');
  });

  test('takes what the file says', () => {
    const config = configOf(
      [
        'mqtt: { port: 0 }',
        'streams:',
        '  meters:',
        '    topics: ["plant/+/<device>/#", "m/<device>"]',
        '    dedup: { mode: id, windowMs: 60000 }',
        'gpio: { pin: 17, activeLow: true }',
        'log: { segmentBytes: 1048576 }',
        'detect: { maxSeries: 75 }',
      ].join('\n'),
    );
    expect(config.mqtt.port).toBe(0);
    expect(Object.keys(config.streams)).toEqual(['meters']);
    expect(config.streams['meters']?.dedup).toMatchObject({
      mode: 'id',
      windowMs: 60_000,
      windowIds: 1024,
      refresh: false,
      payloadWindowMs: 60_000,
      counterBits: 0,
    });
    expect(config.gpio).toMatchObject({ pin: 17, activeLow: true });
    expect(config.log).toMatchObject({ segmentBytes: 1_048_576, lingerMs: 5 });
    expect(config.detect.maxSeries).toBe(75);
  });

  test('takes an empty value for the default', () => {
    expect(configOf('mqtt:\n  port:\ngpio:\n  pin:\nlog:\n')).toEqual(configOf(''));
  });

  test('is frozen all the way down, and one load cannot change the next', () => {
    const config = configOf('');
    expect(() => {
      (config.log.retention as { maxBytes: number }).maxBytes = 1;
    }).toThrow(TypeError);
    const topics = config.streams['readings']?.topics ?? [];
    expect(() => (topics as string[]).push('x')).toThrow(TypeError);
    expect(configOf('streams: { a: { topics: [x/<device>] } }').uplink).toEqual(config.uplink);
  });

  test('takes its anchors from YAML', () => {
    const text = 'streams:\n  a: { topics: [a/<device>], dedup: &d { mode: id } }\n';
    const config = configOf(`${text}  b: { topics: [b/<device>], dedup: *d }`);
    expect(config.streams['b']?.dedup.mode).toBe('id');
  });
});

describe('a single setting that is wrong', () => {
  test.each([
    {
      text: 'mqtt:\n  port: 70000',
      at: [2, 9],
      says: 'mqtt.port is 70000; allowed: a whole number from 0 to 65535',
    },
    { text: 'mqtt:\n  port: 1.5', at: [2, 9], says: 'mqtt.port is 1.5; allowed: a whole' },
    { text: 'mqtt:\n  port: .nan', at: [2, 9], says: 'mqtt.port is NaN; allowed: a whole' },
    {
      text: 'mqtt:\n  port: "1883"',
      at: [2, 9],
      says: 'mqtt.port is the text "1883"; allowed: a whole',
    },
    {
      text: 'mqtt:\n\n  allowAnonymous: yes',
      at: [3, 19],
      says: 'is the text "yes"; allowed: true or false',
    },
    {
      text: 'logger:\n  level: loud',
      at: [2, 10],
      says: 'is the text "loud"; allowed: one of debug, info',
    },
    { text: 'uplink: { protocolVersion: 3 }', at: [1, 28], says: 'is 3; allowed: one of 4, 5' },
    { text: 'gateway: { id: 12 }', at: [1, 16], says: 'gateway.id is 12; allowed: up to 64' },
    {
      text: 'gateway: { id: "a b" }',
      at: [1, 16],
      says: 'gateway.id is the text "a b": allowed: up to 64',
    },
    { text: 'log: { segmentBytes: 1048577 }', at: [1, 22], says: 'a multiple of 4096' },
    { text: 'mqtt: 1883', at: [1, 7], says: 'mqtt is 1883; allowed: a map with any of host' },
    { text: 'mqtt: [1]', at: [1, 7], says: 'mqtt is a list of 1; allowed: a map' },
    {
      text: 'uplink:\n  streams: readings',
      at: [2, 12],
      says: 'uplink.streams is the text "readings"; allowed: a list',
    },
    {
      text: '- a\n- b',
      at: [1, undefined],
      says: 'the file holds a list of 2; allowed: a map with any of',
    },
    { text: 'streams: {}', at: [1, 10], says: 'streams is a map; allowed: a map of 1 to 32 names' },
  ])('$text', ({ text, at, says }) => {
    const problem = problemOf(text);
    expect([problem.line, problem.column]).toEqual(at);
    expect(problem.message).toContain(says);
  });

  test('a text that YAML takes for a number is to be put in quotes', () => {
    expect(problemOf('gateway: { id: 12 }').mend).toBe('put it in quotes');
    expect(problemOf('mqtt: { port: many }').mend).toBeUndefined();
  });

  test('every number has a least and a most, and both are kept', () => {
    // `version` stands alone at the top, and has rules of its own.
    const numbers = CONFIG_KEYS.filter(
      ({ path, allowed }) => path.length > 1 && / number from /.test(allowed),
    );
    expect(numbers.length).toBeGreaterThan(25);
    for (const { path, allowed } of numbers) {
      const [, least, most] = /from (-?[\d.]+) to (\d+)/.exec(allowed) ?? [];
      const [section, ...names] = path.map((name) => (name === '<name>' ? 'a' : name));
      const isStream = section === 'streams';
      const topics = isStream ? '  a:\n    topics: [x/<device>]\n' : '';
      const nest = (value: number) => {
        const inner = isStream ? names.slice(1) : names;
        const end = ' }'.repeat(inner.length - 1);
        const setting = `${inner.join(': { ')}: ${value}${end}`;
        return isStream ? `streams:\n${topics}    ${setting}` : `${section}: { ${setting} }`;
      };
      for (const value of [Number(least) - 1, Number(most) + 1]) {
        expect(problemOf(nest(value)).message).toContain(`is ${value}; allowed: ${allowed}`);
      }
    }
  });
});

describe('names that nobody knows', () => {
  test.each([
    ['mqtt:\n  prot: 1', 2, 'there is no setting "prot" under mqtt', 'did you mean port?'],
    ['mqtt:\n  maxPayloadbytes: 1', 2, '"maxPayloadbytes"', 'did you mean maxPayloadBytes?'],
    ['\n\nmqt: {}', 3, 'there is no setting "mqt" at the top', 'did you mean mqtt?'],
    ['port: 1', 1, '"port" at the top', 'did you mean mqtt.port?'],
    ['uplink:\n  password: hunter2', 2, '"password"', 'did you mean passwordFile?'],
    ['logger:\n  colour: red', 2, '"colour"', 'allowed: level, format'],
    [
      'streams:\n  a:\n    topics: [x/<device>]\n    dedupe: {}',
      4,
      'under streams.a',
      'did you mean dedup?',
    ],
  ])('%j', (text, line, says, mend) => {
    const problem = problemOf(text);
    expect(problem).toMatchObject({ line, mend });
    expect(problem.message).toContain(says);
    expect(JSON.stringify(problem)).not.toContain('hunter2');
  });
});

describe('a file that is no YAML', () => {
  test.each([
    ['mqtt:\n\tport: 1', 2, 'this is no valid YAML'],
    ['mqtt:\n  host: "x\n', 3, 'this is no valid YAML'],
    ['mqtt: {}\n---\nlog: {}', 2, 'a second document begins here'],
    ['mqtt: !secret {}', 1, 'this is no valid YAML'],
    ['mqtt:\n  port: 1\n  port: 2', 3, '"port" stands here a second time'],
    ['mqtt: *nowhere', 1, 'this is no valid YAML'],
  ])('%j', (text, line, says) => {
    const [problem] = problemsOf(text);
    expect(problem).toMatchObject({ line });
    expect(problem?.message).toContain(says);
  });

  test('a file that would unfold without end, or is far too long, is refused', () => {
    const rows = Array.from({ length: 9 }, (_, i) => {
      const items = Array(9).fill(i === 0 ? 'x' : `*a${i - 1}`);
      return `a${i}: &a${i} [${items.join(', ')}]`;
    });
    expect(problemsOf(rows.join('\n'))[0]?.message).toContain('alias');
    expect(problemsOf(`# ${'x'.repeat(2_000_000)}`)[0]?.message).toContain('characters');
  });

  test('whatever the text, there is an answer', () => {
    const piece = fc.constantFrom(
      ...[
        'mqtt',
        'port',
        'streams',
        ': ',
        '\n',
        '  ',
        '- ',
        '{',
        '}',
        '[',
        ']',
        '&a ',
        '*a',
        '1',
        'null',
      ],
      ...[
        '"',
        "'",
        '#',
        '|',
        '>',
        '!!str ',
        '? ',
        '__proto__',
        'topics',
        '<device>',
        'x/<device>',
        '\t',
        '---\n',
      ],
    );
    const text = fc.oneof(
      fc.array(piece, { maxLength: 40 }).map((all) => all.join('')),
      fc.string(),
    );
    fc.assert(
      fc.property(text, (tried) => {
        const loaded = load(tried);
        if (loaded.ok) expect(Object.keys(loaded.config)).toContain('mqtt');
        else expect(loaded.problems.length).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });
});

test('all problems come at once, in the order of the file', () => {
  const text = [
    'mqtt:',
    '  host: 0.0.0.0',
    '  prot: 1',
    '  maxConnections: 0',
    'streams:',
    '  alerts: { topics: [a/<device>] }',
    '  b: { topics: [b, c/<device>/#/x], partitions: 65 }',
    'log:',
    '  lingerMs: 5s',
    '  lingerMs: 6',
    'uplink: { url: x, reconnectMinMs: 9999, reconnectMaxMs: 10 }',
  ].join('\n');
  const problems = problemsOf(text, { env: { HEADGATE_DETECT_ENABLED: 'maybe', HEADGATE_X: '1' } });
  expect(problems.map(({ line, path }) => [line, path])).toEqual([
    [2, 'mqtt.host'],
    [3, 'mqtt.prot'],
    [4, 'mqtt.maxConnections'],
    [6, 'streams.alerts'],
    [7, 'streams.b.topics[0]'],
    [7, 'streams.b.topics[1]'],
    [7, 'streams.b.partitions'],
    [10, ''],
    [11, 'uplink.url'],
    [11, 'uplink.reconnectMinMs'],
    [undefined, ''],
    [undefined, 'detect.enabled'],
  ]);
});

test('a problem in one line names the file, the place and what to do', () => {
  const file = '/etc/headgate.yaml';
  expect(showProblem(problemOf('mqtt:\n  prot: 1'), file)).toBe(
    '/etc/headgate.yaml:2:3: there is no setting "prot" under mqtt (did you mean port?)',
  );
  const env = { HEADGATE_MQTT_PORT: '-1' };
  expect(showProblem(problemOf('', { env }), file)).toMatch(
    /^HEADGATE_MQTT_PORT: mqtt.port is -1;/,
  );
});
