import { expect } from 'vitest';
import { type ConfigInput, loadConfig, type Problem } from '../../src/ops/load-config.ts';

export function load(text: string, rest: Partial<ConfigInput> = {}) {
  return loadConfig({ text, env: {}, ...rest });
}

export function configOf(text: string, rest: Partial<ConfigInput> = {}) {
  const loaded = load(text, rest);
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join('\n'));
  return loaded.config;
}

export function problemsOf(text: string, rest: Partial<ConfigInput> = {}): readonly Problem[] {
  const loaded = load(text, rest);
  if (loaded.ok) throw new Error('no problem was found');
  return loaded.problems;
}

/** The one problem of a text. */
export function problemOf(text: string, rest: Partial<ConfigInput> = {}): Problem {
  const [problem, ...others] = problemsOf(text, rest);
  expect(others).toEqual([]);
  if (problem === undefined) throw new Error('no problem was found');
  return problem;
}
