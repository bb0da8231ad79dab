import * as v from 'valibot';

/** The kinds of settings: each a schema with its bounds, its default and its meaning. */

/** Facts that valibot does not keep: what a text may look like, in words. */
interface TextFacts {
  readonly allowed: string;
}

export const whole = (byDefault: number, min: number, max: number, meaning: string) =>
  v.nullish(
    v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max), v.description(meaning)),
    byDefault,
  );

export const decimal = (byDefault: number, min: number, max: number, meaning: string) =>
  v.nullish(
    v.pipe(v.number(), v.minValue(min), v.maxValue(max), v.description(meaning)),
    byDefault,
  );

/** A whole number that may be left out: there is no default for it. */
export const optional = (min: number, max: number, meaning: string) =>
  v.nullish(
    v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max), v.description(meaning)),
    () => undefined,
  );

export const flag = (byDefault: boolean, meaning: string) =>
  v.nullish(v.pipe(v.boolean(), v.description(meaning)), byDefault);

export const choice = <const T extends readonly string[]>(
  names: T,
  byDefault: T[number],
  meaning: string,
) => v.nullish(v.pipe(v.picklist(names), v.description(meaning)), byDefault);

/** A text that `fault` finds nothing wrong with; `fault` answers in words, or undefined. */
export const text = (
  byDefault: string,
  facts: TextFacts & { fault: (value: string) => string | undefined },
  meaning: string,
) =>
  v.nullish(
    v.pipe(
      v.string(),
      v.check(
        (value) => facts.fault(value) === undefined,
        (issue) => facts.fault(String(issue.input)) ?? '',
      ),
      v.description(meaning),
      v.metadata({ allowed: facts.allowed }),
    ),
    byDefault,
  );

export const matching = (pattern: RegExp, allowed: string) => ({
  allowed,
  fault: (value: string) => (pattern.test(value) ? undefined : `allowed: ${allowed}`),
});

// A NUL would cut a path short in the kernel; nothing else is wrong with a path.
export const PATH = matching(/^[^\0]{0,4096}$/, 'a path, or empty');
