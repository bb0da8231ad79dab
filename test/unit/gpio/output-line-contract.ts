import { afterEach, describe, expect, it } from 'vitest';
import type { OutputLine } from '../../../src/base/output-line.ts';
import { until } from '../../support/until.ts';

export interface LineUnderTest {
  readonly line: OutputLine;
  /** Changes to active (true) or inactive (false) that the world has seen, in order. */
  readonly changes: () => boolean[];
}

/** What every output line keeps to, whatever drives it. A line may take its time to change. */
export function describeOutputLine(
  name: string,
  open: () => LineUnderTest | Promise<LineUnderTest>,
): void {
  describe(`the output line "${name}"`, () => {
    const opened: OutputLine[] = [];
    const begin = async () => {
      const under = await open();
      opened.push(under.line);
      return under;
    };
    afterEach(async () => {
      for (const line of opened.splice(0)) await line.close();
    });

    const seen = (changes: () => boolean[], ...expected: boolean[]) =>
      until(`the changes ${expected.join()}, not ${changes().join()}`, () => {
        const so = changes();
        return so.length === expected.length && so.every((one, i) => one === expected[i]);
      });

    it('has a name', async () => {
      expect((await begin()).line.name).not.toBe('');
    });

    it('is inactive when it is opened', async () => {
      expect((await begin()).changes()).toEqual([]);
    });

    it('follows what is set', async () => {
      const { line, changes } = await begin();
      const expected: boolean[] = [];
      for (const active of [true, false, true]) {
        line.set(active);
        expected.push(active);
        await seen(changes, ...expected);
      }
    });

    it('comes to what was set last, however quickly that changes', async () => {
      const { line, changes } = await begin();
      for (const active of [true, false, true]) line.set(active);
      await until('the line is active', () => changes().at(-1) === true);
      await line.close();
      expect(changes().at(-1)).toBe(false);
    });

    it('does nothing when it is set to what it is', async () => {
      const { line, changes } = await begin();
      line.set(false);
      line.set(true);
      await seen(changes, true);
      line.set(true);
      line.set(true);
      line.set(false);
      await seen(changes, true, false);
      line.set(false);
      await line.close();
      expect(changes()).toEqual([true, false]);
    });

    it('is left inactive when it is closed', async () => {
      const { line, changes } = await begin();
      line.set(true);
      await seen(changes, true);
      await line.close();
      expect(changes()).toEqual([true, false]);
    });

    it('may be closed when it is inactive, and twice', async () => {
      const { line, changes } = await begin();
      await line.close();
      await line.close();
      expect(changes()).toEqual([]);
    });

    it('stays inactive once it is closed', async () => {
      const { line, changes } = await begin();
      const closed = line.close();
      line.set(true);
      await closed;
      line.set(true);
      expect(changes()).toEqual([]);
    });
  });
}
