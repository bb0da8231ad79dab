import { coversFilter, filtersMeet, wildcardsOf } from '../base/topic-filter.ts';
import { DEFAULT_TOPICS } from '../uplink/envelope.ts';
import type { Config } from './config.ts';
import type { RuleFault } from './config-rule.ts';
import { DEVICE_LEVEL, OWN_STREAMS } from './config-text.ts';

/** What the settings of the downlink must agree with: see `config-rules.ts`. */

type Route = Config['downlink']['routes'][string];
type RouteRule = (name: string, route: Route, config: Config) => RuleFault | undefined;

const pathOf = (name: string, key: 'from' | 'to') => ['downlink', 'routes', name, key];

const wildcardsAgree: RouteRule = (name, { from, to }) => {
  const [there, here] = [from, to].map((filter) => wildcardsOf(filter.split('/')).join(' '));
  if (there === here) return undefined;
  const show = (wildcards: string | undefined) => (wildcards === '' ? 'none' : wildcards);
  return {
    path: pathOf(name, 'to'),
    others: [pathOf(name, 'from')],
    message:
      `downlink.routes.${name}.to has the wildcards ${show(here)}, and its from has ` +
      `${show(there)}: nobody could say what they stand for`,
    mend: 'give both the same wildcards in the same order',
  };
};

const isAllowed: RouteRule = (name, { to }, { downlink }) => {
  const levels = to.split('/');
  if (downlink.allow.some((filter) => coversFilter(filter.split('/'), levels))) return undefined;
  return {
    path: pathOf(name, 'to'),
    others: [['downlink', 'allow']],
    message: `downlink.routes.${name}.to is "${to}", and downlink.allow does not have all of it`,
    mend: `put "${to}" into downlink.allow, if the cloud may publish there`,
  };
};

/** A command must not pass for a reading. */
const noReadings: RouteRule = (name, { to }, { streams }) => {
  const levels = to.split('/');
  for (const [stream, { topics }] of Object.entries(streams)) {
    for (const topic of topics) {
      const pattern = topic.split('/').map((level) => (level === DEVICE_LEVEL ? '+' : level));
      if (!filtersMeet(levels, pattern)) continue;
      return {
        path: pathOf(name, 'to'),
        others: [['streams', stream, 'topics']],
        message:
          `downlink.routes.${name}.to is "${to}", where topics of stream ${stream} are ` +
          `("${topic}"): a command would pass for a reading`,
        mend: 'give commands topics of their own',
      };
    }
  }
  return undefined;
};

/** Where the uplink publishes records of a stream, with wildcards for what is not known yet. */
function uplinkFilter({ uplink, gateway }: Config, stream: string): string[] {
  const topic = (uplink.topic || DEFAULT_TOPICS[uplink.shape]).replaceAll('{stream}', stream);
  const known = gateway.id === '' ? topic : topic.replaceAll('{gateway}', gateway.id);
  return known.split('/').map((level) => (level.includes('{') ? '+' : level));
}

const noEcho: RouteRule = (name, { from }, config) => {
  const { id } = config.gateway;
  const known = id === '' ? from : from.replaceAll('{gateway}', id);
  const levels = known.split('/').map((level) => (level.includes('{gateway}') ? '+' : level));
  const names = [...Object.keys(config.streams), ...OWN_STREAMS];
  const stream = names.find((one) => filtersMeet(levels, uplinkFilter(config, one)));
  if (stream === undefined) return undefined;
  return {
    path: pathOf(name, 'from'),
    others: [
      ['uplink', 'topic'],
      ['gateway', 'id'],
    ],
    message:
      `downlink.routes.${name}.from is "${from}", where the uplink publishes the records of ` +
      `stream ${stream}: the gateway would hear itself`,
    mend: 'listen on topics that the uplink does not publish to',
  };
};

const notTwice: RouteRule = (name, { from }, { downlink }) => {
  const levels = from.split('/');
  for (const [other, { from: taken }] of Object.entries(downlink.routes)) {
    if (other === name) return undefined;
    if (!filtersMeet(levels, taken.split('/'))) continue;
    return {
      path: pathOf(name, 'from'),
      others: [pathOf(other, 'from')],
      message: `downlink.routes.${name}.from and that of ${other} have topics in common`,
      mend: 'each topic of the cloud needs one place to go to',
    };
  }
  return undefined;
};

const RULES: readonly RouteRule[] = [wildcardsAgree, isAllowed, noReadings, noEcho, notTwice];

function needsMqtt({ uplink, downlink }: Config): RuleFault | undefined {
  if (Object.keys(downlink.routes).length === 0) return undefined;
  if (/^(mqtts?|wss?):\/\//.test(uplink.url)) return undefined;
  const message =
    uplink.url === ''
      ? 'downlink.routes is set and uplink.url is not: there is nobody to listen to'
      : 'downlink.routes is set, and only a cloud of MQTT can send commands';
  const mend = 'set uplink.url to an MQTT broker, or leave downlink.routes out';
  return { path: ['downlink', 'routes'], others: [['uplink', 'url']], message, mend };
}

export function downlinkFaults(config: Config): RuleFault[] {
  const routes = Object.entries(config.downlink.routes);
  const found = routes.flatMap(([name, route]) => RULES.map((rule) => rule(name, route, config)));
  return [needsMqtt(config), ...found].filter((fault) => fault !== undefined);
}
