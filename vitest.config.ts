import { defineConfig } from 'vitest/config';

const lane = (name: string, include: string[], testTimeout: number) => ({
  extends: true as const,
  test: { name, include, testTimeout, hookTimeout: testTimeout },
});

// Lanes: unit (no sockets to speak of), fault (what breaks), e2e (child processes, real MQTT),
// debian (real parts from Debian's packages; `.ci/run` installs them).
export default defineConfig({
  test: {
    pool: 'forks',
    coverage: { provider: 'v8', include: ['src/**', 'firmware-bridge/**'] },
    projects: [
      lane('unit', ['test/unit/**/*.test.ts', 'test/*.test.ts'], 10_000),
      lane('fault', ['test/fault/**/*.test.ts'], 30_000),
      lane('e2e', ['test/e2e/**/*.test.ts'], 120_000),
      lane('debian', ['test/debian/**/*.test.ts'], 600_000),
    ],
  },
});
