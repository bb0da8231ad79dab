import { afterEach } from 'vitest';
import type { Uplink } from '../../../src/uplink/uplink.ts';
import { uplinkOver } from './fakes.ts';

const running: Uplink[] = [];

/** An uplink that has started, and is stopped after the test. */
export function start(...given: Parameters<typeof uplinkOver>) {
  const made = uplinkOver(...given);
  running.push(made.uplink);
  made.uplink.start();
  return made;
}

afterEach(async () => {
  for (const uplink of running.splice(0)) await uplink.stop();
});
