import { describe, expect, it } from 'vitest';
import { RedrivenNotes } from '../../../src/log/redriven-notes.ts';
import { memoryState } from '../../support/memory-state.ts';

describe('notes of what was redriven', () => {
  it('are kept in another life, of their log alone', async () => {
    const state = memoryState();
    await new RedrivenNotes(state, 'a').add([3, 4, 5, 9_000]);
    const notes = new RedrivenNotes(state, 'a');
    const has = await Promise.all([2, 3, 5, 6, 9_000].map((n) => notes.has(n)));
    expect(has).toEqual([false, true, true, false, true]);
    expect(await new RedrivenNotes(state, 'b').has(3)).toBe(false);
  });

  it('are on flash before anybody is told', async () => {
    const synced: unknown[] = [];
    const state = memoryState();
    const { write } = state;
    state.write = (entries, options) => {
      synced.push(options?.sync);
      return write(entries);
    };
    await new RedrivenNotes(state, 'a').add([3]);
    expect(synced).toEqual([true]);
  });

  it('are as many entries as stretches of offsets, and runs within them', async () => {
    const state = memoryState();
    const notes = new RedrivenNotes(state, 'a');
    for (let n = 0; n < 10_000; n += 100) {
      await notes.add(Array.from({ length: 100 }, (_, i) => n + i));
    }
    expect([...state.stored.values()]).toEqual(['[[0,4095]]', '[[4096,8191]]', '[[8192,9999]]']);
  });

  it('go when retention has dropped the letters, and those of another log with them', async () => {
    const state = memoryState([['redriven/old/2', '[[9000,9001]]']]);
    const notes = new RedrivenNotes(state, 'a');
    await notes.add([1, 2, 4_000, 4_095, 4_096, 9_000]);
    await notes.forgetBefore(4_001);
    expect(Object.fromEntries(state.stored)).toEqual({
      'redriven/a/0': '[[4095,4095]]',
      'redriven/a/1': '[[4096,4096]]',
      'redriven/a/2': '[[9000,9000]]',
    });
    await notes.forgetBefore(9_001);
    expect(state.stored.size).toBe(0);
  });

  it('are given a stretch at a time, which covers all that is asked for', async () => {
    const notes = new RedrivenNotes(memoryState(), 'a');
    const noted = [5, 10, 70_000, 200_000];
    await notes.add(noted);
    const found: number[] = [];
    let from = 10;
    for (let pages = 0; from <= 200_000; pages++) {
      expect(pages).toBeLessThan(10);
      const page = await notes.page(from);
      expect(page).toMatchObject({ log: 'a', from });
      for (const [first, last] of page.ranges) {
        expect(first).toBe(last);
        expect(last).toBeLessThan(page.end);
        found.push(first);
      }
      from = page.end;
    }
    expect(found).toEqual([10, 70_000, 200_000]);
  });
});
