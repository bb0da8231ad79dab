import { expect } from 'vitest';
import { headgate } from './gateway-process.ts';

/** The line that a command says in answer to a wrong command line, and its exit code. */
export async function usageOf(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await headgate(args);
  expect(code, stderr).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^headgate: USAGE: /);
  return stderr;
}
