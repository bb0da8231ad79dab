import type { Config } from './config.ts';

/** What no single setting can say: settings that must agree with each other. */
export interface RuleFault {
  /** Where to point. */
  readonly path: readonly string[];
  /**
   * Settings that the rule looked at as well; if one of them is wrong by itself, the rule is mute.
   */
  readonly others: ReadonlyArray<readonly string[]>;
  readonly message: string;
  readonly mend?: string;
}

export type Rule = (config: Config) => RuleFault | readonly RuleFault[] | undefined;
