import { describe, expect, it } from 'vitest';
import type { OutputLine } from '../../../src/base/output-line.ts';

export interface LineUnderTest {
  readonly line: OutputLine;
  /** Changes to active (true) or inactive (false) that the world has seen, in order. */
  readonly changes: () => boolean[];
}

/** What every output line keeps to, whatever drives it. */
export function describeOutputLine(name: string, open: () => LineUnderTest): void {
  describe(`the output line "${name}"`, () => {
    it('has a name', () => {
      expect(open().line.name).not.toBe('');
    });

    it('is inactive when it is opened', () => {
      expect(open().changes()).toEqual([]);
    });

    it('follows what is set', () => {
      const { line, changes } = open();
      for (const active of [true, false, true]) line.set(active);
      expect(changes()).toEqual([true, false, true]);
    });

    it('does nothing when it is set to what it is', () => {
      const { line, changes } = open();
      for (const active of [false, true, true, true, false, false]) line.set(active);
      expect(changes()).toEqual([true, false]);
    });

    it('is left inactive when it is closed', () => {
      const { line, changes } = open();
      line.set(true);
      line.close();
      expect(changes()).toEqual([true, false]);
    });

    it('may be closed when it is inactive, and twice', () => {
      const { line, changes } = open();
      line.close();
      line.close();
      expect(changes()).toEqual([]);
    });

    it('stays inactive once it is closed', () => {
      const { line, changes } = open();
      line.close();
      line.set(true);
      expect(changes()).toEqual([]);
    });
  });
}
