import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['**/node_modules/**'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // One second says nothing on a machine where two browsers start beside it.
    expect: { poll: { timeout: 20_000 } },
    // A suite that leaves something running is a defect; do not wait for it politely.
    teardownTimeout: 5_000,
  },
});
