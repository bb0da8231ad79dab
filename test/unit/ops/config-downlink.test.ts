import { describe, expect, test } from 'vitest';
import { downlinkFaults } from '../../../src/ops/config-downlink-rules.ts';
import { configOf, problemOf, problemsOf } from '../../support/config-loading.ts';

interface Given {
  readonly from?: string;
  readonly to?: string;
  readonly allow?: string;
  readonly more?: string;
}

function text({ from = 'down/{gateway}/#', to = 'commands/#', allow, more = '' }: Given = {}) {
  return [
    'uplink: { url: "mqtt://cloud.example", topic: "up/{gateway}/{stream}/{device}" }',
    'downlink:',
    `  allow: [${allow ?? JSON.stringify(to)}]`,
    '  routes:',
    '    down:',
    `      from: ${JSON.stringify(from)}`,
    `      to: ${JSON.stringify(to)}`,
    more,
  ].join('\n');
}

test('off by default; a route is complete with its two filters', () => {
  expect(configOf('').downlink).toEqual({ routes: {}, allow: [], sessionExpirySeconds: 604_800 });
  const { routes } = configOf(text()).downlink;
  expect(routes).toEqual({ down: { from: 'down/{gateway}/#', to: 'commands/#', retain: false } });
});

test('one that is not complete is pointed at', () => {
  const problem = problemOf('downlink:\n  routes:\n    down: { to: a }');
  expect(problem).toMatchObject({ path: 'downlink.routes.down.from', line: 3 });
  expect(problem.message).toContain('is missing');
});

describe('a filter', () => {
  test.each([
    ['from', '$share/g/down/#', 'another one may get'],
    ['from', 'down/{device}', '{device} is not {gateway}'],
    ['from', 'down/#/x', '# may only be the last level'],
    ['to', 'commands/x+', '+ must be a level by itself'],
    ['to', 'commands//x', 'a level is empty'],
    ['to', '$SYS/x', "the broker's own"],
    ['to', 'headgate/x', "the broker's own"],
    ['to', '+/x', 'the first level must be a name'],
    ['to', '#', 'the first level must be a name'],
  ])('%s %s', (key, filter, says) => {
    const [problem] = problemsOf(text({ [key]: filter, allow: 'x/#' }));
    expect(problem).toMatchObject({ path: `downlink.routes.down.${key}` });
    expect(problem?.message).toContain(says);
  });

  test('of the allow-list is checked too', () => {
    const problem = problemOf(text({ allow: 'commands/#, "#"' }));
    expect(problem).toMatchObject({ path: 'downlink.allow[1]', line: 3 });
  });
});

describe('routes that fit in', () => {
  test.each<Given>([
    { from: 'a/+/b/#', to: 'commands/+/#' },
    { to: 'commands/x/#', allow: '"commands/#"' },
    { from: '$aws/things/+/jobs', to: 'commands/+/jobs', allow: '"commands/+/+"' },
    { from: 'up/{gateway}/down/#' },
    { more: '    next: { from: "down2/#", to: "commands/#" }' },
  ])('%j', (given) => {
    expect(Object.keys(configOf(text(given)).downlink.routes)).toContain('down');
  });
});

describe('routes that do not', () => {
  test.each<[Given, string, string]>([
    [{ from: 'a/+', to: 'commands/#' }, 'down.to', 'has the wildcards #, and its from has +'],
    [{ from: 'a/+/#', to: 'commands/+' }, 'down.to', 'has the wildcards +, and its from has + #'],
    [{ allow: '' }, 'down.to', 'downlink.allow does not have all of it'],
    [{ allow: '"commands/+"' }, 'down.to', 'downlink.allow does not have all of it'],
    [{ to: 'sensors/#' }, 'down.to', 'a command would pass for a reading'],
    [{ from: 'a/+', to: 'sensors/+' }, 'down.to', 'a command would pass for a reading'],
    [{ from: 'up/#' }, 'down.from', 'publishes the records of stream readings'],
    [{ from: 'up/+/alerts/+', to: 'c/+/+' }, 'down.from', 'publishes the records of stream alerts'],
    [
      { more: '    next: { from: "down/+/x", to: "commands/+" }', allow: '"commands/#"' },
      'next.from',
      'and that of down have topics in common',
    ],
  ])('%j', (given, at, says) => {
    const problem = problemOf(text(given));
    expect(problem.path).toBe(`downlink.routes.${at}`);
    expect(problem.message).toContain(says);
  });

  test('with a name of the gateway: only its own records are an echo', () => {
    const named = (from: string) => `gateway: { id: gw-1 }\n${text({ from })}`;
    expect(problemOf(named('up/gw-1/readings/#')).message).toContain('publishes the records');
    expect(configOf(named('up/gw-2/readings/#')).gateway.id).toBe('gw-1');
  });
});

test('only an uplink over MQTT has a downlink', () => {
  const bare = text().replace('url: "mqtt://cloud.example", ', '');
  expect(problemOf(bare)).toMatchObject({ path: 'downlink.routes' });
  const config = configOf(text());
  expect(downlinkFaults(config)).toEqual([]);
  const socket = { ...config.uplink, url: 'wss://cloud.example/mqtt' };
  expect(downlinkFaults({ ...config, uplink: socket })).toEqual([]);
  const uplink = { ...config.uplink, url: 'nats://cloud.example' };
  expect(downlinkFaults({ ...config, uplink })).toMatchObject([
    { path: ['downlink', 'routes'], message: expect.stringContaining('only a cloud of MQTT') },
  ]);
});
