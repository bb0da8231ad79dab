import * as v from 'valibot';
import { downlinkSourceFault, localFilterFault } from './config-downlink-text.ts';
import { flag, matching, whole } from './config-kinds.ts';

/** The settings of the downlink: see `config.ts`. */

const MAX_ROUTES = 32;
const MAX_ALLOWED = 64;
const ROUTE_NAME = matching(/^[a-z0-9-]{1,32}$/, '1 to 32 of a-z 0-9 -');

const routeName = v.pipe(
  v.string(),
  v.check(
    (name) => ROUTE_NAME.fault(name) === undefined,
    () => `a route name is ${ROUTE_NAME.allowed}`,
  ),
);

const SOURCE = {
  allowed: 'an MQTT topic filter; {gateway} is filled in',
  fault: downlinkSourceFault,
};
const LOCAL = { allowed: 'an MQTT topic filter', fault: localFilterFault };

const filter = ({ allowed, fault }: typeof LOCAL) =>
  v.pipe(
    v.string(),
    v.check(
      (value) => fault(value) === undefined,
      (issue) => fault(String(issue.input)) ?? '',
    ),
    v.metadata({ allowed }),
  );

const route = v.strictObject({
  from: v.pipe(
    filter(SOURCE),
    v.description(
      'Topics in the cloud to listen on, such as `headgate/{gateway}/down/#`. `+` is any level, ' +
        'a last `#` all further ones.',
    ),
  ),
  to: v.pipe(
    filter(LOCAL),
    v.description(
      'Local topic, such as `commands/#`: with the same wildcards as `from` in the same order, ' +
        'which stand for the same here. `downlink.allow` must have it.',
    ),
  ),
  retain: flag(
    false,
    'The last message of each topic is kept for those who subscribe later: for configuration, ' +
      'not for commands.',
  ),
});

export const downlink = v.strictObject({
  routes: v.nullish(
    v.pipe(
      v.record(routeName, route),
      v.maxEntries(MAX_ROUTES),
      v.description(
        'What the cloud may send, by names of your own; see downlink.md. None: no downlink.',
      ),
    ),
    {},
  ),
  allow: v.nullish(
    v.pipe(
      v.array(filter(LOCAL)),
      v.maxLength(MAX_ALLOWED),
      v.description('Filters of the local topics that the downlink may publish to.'),
    ),
    [],
  ),
  sessionExpirySeconds: whole(
    604_800,
    60,
    4_294_967_295,
    'How long the cloud is asked to keep messages for a gateway that is away (MQTT 5); ' +
      '4294967295 is for ever. With 3.1.1 the cloud decides.',
  ),
});
