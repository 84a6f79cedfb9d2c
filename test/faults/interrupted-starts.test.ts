import { describe, expect, inject, it } from 'vitest';
import { continueOldInitdb, INITDB_FAULT } from './interrupted-initdb.ts';
import { START_FAULTS } from './interrupted-starts.ts';

/** `npm run test:faults` tries every point. */
const POINTS_MAX = 3;
const TIMEOUT_MS = 120_000;

it('a start replaces the cluster that version 0.1.0 left when it was killed during initdb', async () => {
  expect(await continueOldInitdb()).toBeNull();
}, 60_000);

describe('the next start works, with', () => {
  // Starts that version 0.1.0 left are sampled in test/storage/interrupted-migrations.test.ts.
  const faults = [...START_FAULTS.filter(({ name }) => name !== 'old-start-kill'), INITDB_FAULT];
  for (const { title, run } of faults) {
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
