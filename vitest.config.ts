import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';

const DEBIAN = '**/*.debian.test.ts';

const lane = (name: string, include: string[], testTimeout: number) => {
  const exclude = name === 'debian' ? configDefaults.exclude : [...configDefaults.exclude, DEBIAN];
  return {
    extends: true as const,
    test: { name, include, exclude, testTimeout, hookTimeout: testTimeout },
  };
};

// Lanes: unit (no sockets to speak of), fault (what breaks), e2e (child processes, real MQTT),
// long (sweeps with more seeds), debian (e2e with real parts from Debian's packages; `.ci/run`
// installs them).
export default defineConfig({
  test: {
    pool: 'forks',
    // One more than there are cores: those of the lane e2e wait for processes much of the time.
    maxWorkers: availableParallelism() + 1,
    coverage: { provider: 'v8', include: ['src/**', 'firmware-bridge/**'] },
    projects: [
      lane('unit', ['test/unit/**/*.test.ts', 'test/*.test.ts'], 10_000),
      lane('fault', ['test/fault/**/*.test.ts'], 30_000),
      lane('e2e', ['test/e2e/**/*.test.ts'], 120_000),
      lane('long', ['test/long/**/*.long.test.ts'], 600_000),
      lane('debian', ['test/e2e/**/*.debian.test.ts'], 600_000),
    ],
  },
});
