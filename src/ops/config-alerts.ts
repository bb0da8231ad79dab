import * as v from 'valibot';
import { FAULTS, type Fault, SEVERITIES, type Severity } from '../base/verdict.ts';
import { filterFault } from './config-downlink-text.ts';
import { choice, decimal, flag, matching, optional, whole } from './config-kinds.ts';

/** The settings of alerts and of plain limits: see `config.ts`. */

const DAY_MS = 86_400_000;
/** No sensor has numbers beyond it. */
const MOST = 1e15;
export const MAX_LIMITS = 1_000;

const FAULT_MEANINGS: Readonly<Record<Fault, readonly [Severity, string]>> = {
  spike: ['info', 'of a value that jumps and comes back'],
  shift: ['warning', 'of a level that changes for good'],
  drift: ['warning', 'of a value that creeps away'],
  noise: ['warning', 'of a value that trembles more than ever'],
  stuck: ['warning', 'of a value that does not move any more'],
  range: ['warning', 'of a value beyond all that was seen'],
  rate: ['warning', 'of a value that moves faster than ever'],
  silence: ['warning', 'of a device that says nothing'],
  unusual: ['warning', 'of what is none of these'],
};

const severityOf = (fault: Fault) => {
  const [byDefault, meaning] = FAULT_MEANINGS[fault];
  return choice(SEVERITIES, byDefault, `How grave an alert is ${meaning}.`);
};

const severity = v.strictObject(
  Object.fromEntries(FAULTS.map((fault) => [fault, severityOf(fault)])) as Record<
    Fault,
    ReturnType<typeof severityOf>
  >,
);

const minDuration = (of: Severity) =>
  whole(0, 0, DAY_MS, `How long an anomaly must last before it is an alert (${of}), in ms.`);

export const alerts = v.strictObject({
  clearScore: decimal(
    0.33,
    0.01,
    0.5,
    'Score below which a value counts as calm again; an anomaly has 0.5 or more.',
  ),
  clearCount: whole(5, 1, 10_000, 'Calm values in a row that end an alert.'),
  clearMs: whole(0, 0, DAY_MS, 'How long they must have come for at least, in ms.'),
  coolDownMs: whole(
    60_000,
    0,
    DAY_MS,
    'Time between the end of an alert and the next one of its series, in ms.',
  ),
  minDurationMs: v.nullish(
    v.strictObject({
      info: minDuration('info'),
      warning: minDuration('warning'),
      critical: minDuration('critical'),
    }),
    {},
  ),
  severity: v.nullish(severity, {}),
  flood: v.nullish(
    v.strictObject({
      maxAlerts: whole(
        3,
        1,
        1_000,
        'Alerts of one device, and devices that fall silent, that are told one by one within ' +
          '`windowMs`. What follows is one alert with a count.',
      ),
      windowMs: whole(600_000, 1_000, DAY_MS, 'The time in which they are counted, in ms.'),
    }),
    {},
  ),
  silence: v.nullish(
    v.strictObject({
      enabled: flag(true, 'Learns how often each device sends, and tells when it falls silent.'),
      factor: decimal(
        3,
        1,
        1_000,
        'A device is silent after so many times the longest of its usual gaps.',
      ),
      minSeconds: whole(300, 1, 31_536_000, 'A device is silent after so long at least, in s.'),
    }),
    {},
  ),
  lineSeverity: choice(SEVERITIES, 'info', 'Least severity that the output line tells of.'),
  lineUntilSeen: flag(
    false,
    'The output line tells of alerts that nobody has acknowledged, rather than of all that last.',
  ),
});

const LIMIT_NAME = matching(/^[a-z0-9-]{1,32}$/, '1 to 32 of a-z 0-9 -');

const limitName = v.pipe(
  v.string(),
  v.check(
    (name) => LIMIT_NAME.fault(name) === undefined,
    () => `the name of a limit is ${LIMIT_NAME.allowed}`,
  ),
);

const GLOB = matching(/^[^\p{Cc}]{1,256}$/u, '1 to 256 characters, no control characters');

const name = (meaning: string) =>
  v.nullish(
    v.pipe(
      v.string(),
      v.check(
        (value) => GLOB.fault(value) === undefined,
        (issue) => GLOB.fault(String(issue.input)) ?? '',
      ),
      v.description(meaning),
      v.metadata({ allowed: 'a name; `*` stands for any characters, `?` for one' }),
    ),
    () => undefined,
  );

const topic = v.nullish(
  v.pipe(
    v.string(),
    v.check(
      (value) => filterFault(value) === undefined,
      (issue) => filterFault(String(issue.input)) ?? '',
    ),
    v.description('Only what comes on these topics. None: on any.'),
    v.metadata({ allowed: 'an MQTT topic filter' }),
  ),
  () => undefined,
);

const number = (least: number, meaning: string) =>
  v.nullish(
    v.pipe(v.number(), v.minValue(least), v.maxValue(MOST), v.description(meaning)),
    () => undefined,
  );

const limit = v.strictObject({
  device: name('Devices that it is for. None: all.'),
  metric: name('Metrics that it is for. None: all.'),
  topic,
  min: number(-MOST, 'Least value that is allowed.'),
  max: number(-MOST, 'Greatest value that is allowed.'),
  ratePerSecond: number(
    0,
    'Most that a value may change by, up or down, in a second. 0: it may not change.',
  ),
  silenceSeconds: optional(
    1,
    31_536_000,
    'Longest time between two readings of a device, whatever they hold, in s.',
  ),
  severity: choice(SEVERITIES, 'warning', 'How grave it is when the limit is passed.'),
});

export const limits = v.nullish(
  v.pipe(
    v.record(limitName, limit),
    v.maxEntries(MAX_LIMITS),
    v.description('What values may be, by names of your own; see alerts.md.'),
  ),
  {},
);
