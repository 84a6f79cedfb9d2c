import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { relayArtifacts } from './test/support/relay-artifacts.ts';

export default defineConfig({
  plugins: [relayArtifacts()],
  // Vite would take graphql's development build for the sources, beside the one that libraries load: two of each class.
  resolve: { alias: [{ find: /^graphql$/, replacement: fileURLToPath(import.meta.resolve('graphql')) }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    testTimeout: 20_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
