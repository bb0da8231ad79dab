import { filtersMeet } from '../base/topic-filter.ts';
import type { Config } from './config.ts';
import type { RuleFault } from './config-rule.ts';
import { DEVICE_LEVEL } from './config-text.ts';

/** What plain limits must agree with: see `config-rules.ts`. */

type Limit = Config['limits'][string];
type LimitRule = (name: string, limit: Limit, config: Config) => RuleFault | undefined;

const KINDS = ['min', 'max', 'ratePerSecond', 'silenceSeconds'] as const;

const limitsSomething: LimitRule = (name, limit) => {
  if (KINDS.some((kind) => limit[kind] !== undefined)) return undefined;
  return {
    path: ['limits', name],
    others: KINDS.map((kind) => ['limits', name, kind]),
    message: `limits.${name} limits nothing`,
    mend: `give it one of ${KINDS.join(', ')}`,
  };
};

const minBelowMax: LimitRule = (name, { min, max }) => {
  if (min === undefined || max === undefined || min <= max) return undefined;
  return {
    path: ['limits', name, 'min'],
    others: [['limits', name, 'max']],
    message: `limits.${name}.min is ${min}, more than its max (${max}): every value would break it`,
    mend: 'swap the two, or leave one out',
  };
};

const deviceIsOneLevel: LimitRule = (name, { device }) => {
  if (device?.includes('/') !== true) return undefined;
  return {
    path: ['limits', name, 'device'],
    others: [],
    message: `limits.${name}.device is "${device}": a device is one level of a topic, without a /`,
    mend: 'name the device alone, and the topics with topic',
  };
};

const metricHasValues: LimitRule = (name, limit) => {
  const { metric, min, max, ratePerSecond } = limit;
  if (metric === undefined || (min ?? max ?? ratePerSecond) !== undefined) return undefined;
  if (limit.silenceSeconds === undefined) return undefined;
  return {
    path: ['limits', name, 'metric'],
    others: [['limits', name, 'silenceSeconds']],
    message: `limits.${name}.metric has no meaning: silenceSeconds is about all that a device says`,
    mend: 'leave it out, or name the topics to listen to with topic',
  };
};

/** Nothing would ever pass the limit, and nobody be told. */
const topicOfStream: LimitRule = (name, { topic }, { streams }) => {
  if (topic === undefined) return undefined;
  const levels = topic.split('/');
  const patterns = Object.values(streams).flatMap(({ topics }) => topics);
  const meets = (pattern: string) =>
    filtersMeet(
      levels,
      pattern.split('/').map((level) => (level === DEVICE_LEVEL ? '+' : level)),
    );
  if (patterns.some(meets)) return undefined;
  return {
    path: ['limits', name, 'topic'],
    others: [['streams']],
    message: `limits.${name}.topic is "${topic}", and no stream has such topics`,
    mend: `the topics of streams are ${patterns.join(', ')}`,
  };
};

const needsDetection = ({ limits, detect }: Config): RuleFault[] => {
  const [first] = Object.keys(limits);
  if (first === undefined || detect.enabled) return [];
  return [
    {
      path: ['limits', first],
      others: [['detect', 'enabled']],
      message: `limits.${first} is never looked at: detect.enabled is false`,
      mend: 'leave the limits out, or detect.enabled',
    },
  ];
};

const RULES: readonly LimitRule[] = [
  limitsSomething,
  minBelowMax,
  deviceIsOneLevel,
  metricHasValues,
  topicOfStream,
];

export function alertFaults(config: Config): RuleFault[] {
  const faults = Object.entries(config.limits).flatMap(([name, limit]) =>
    RULES.flatMap((rule) => rule(name, limit, config) ?? []),
  );
  return [...faults, ...needsDetection(config)];
}
