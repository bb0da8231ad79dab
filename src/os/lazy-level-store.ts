import type { LevelStore, LevelStoreOptions } from './level-store.ts';

/**
 * Opens the state store, and loads what that needs only then: where its native part is missing,
 * every command would end with that otherwise, `headgate doctor` too. For the command line.
 */
export async function openLevelStore(options: LevelStoreOptions): Promise<LevelStore> {
  const { openLevelStore: open } = await import('./level-store.ts');
  return open(options);
}
