import { describe, expect, inject, it } from 'vitest';
import { START_FAULTS } from './interrupted-starts.ts';

/** `npm run test:faults` tries every point. */
const POINTS_MAX = 4;
const TIMEOUT_MS = 120_000;

describe('the next start works, with', () => {
  // Starts that version 0.1.0 left are sampled in test/storage/interrupted-migrations.test.ts.
  for (const { title, run } of START_FAULTS.filter(({ name }) => name !== 'old-start-kill')) {
    it(
      `${title} (a sample)`,
      async () => {
        const { runs, failures } = await run(inject('templateUrl'), POINTS_MAX);
        expect(failures).toEqual([]);
        expect(runs).toBeGreaterThan(1);
      },
      TIMEOUT_MS,
    );
  }
});
