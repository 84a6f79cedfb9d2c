import { describe, expect, it } from 'vitest';
import { FAULTS } from './faults.ts';
import { runFault } from './run.ts';

/** Most of a run is waiting, so some go on at once. More would take the processors from one another. */
const AT_ONCE = 3;
const TIMEOUT_MS = 240_000;

/** Lets so many pieces of work go on at once. */
function makeTurnstile(places: number) {
  const waiting: (() => void)[] = [];
  let free = places;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}

const inTurn = makeTurnstile(AT_ONCE);

describe('nothing acknowledged is lost, and every invariant holds, where', () => {
  for (const fault of FAULTS) {
    it.concurrent(
      fault.title,
      async (context) => {
        const reason = fault.leftOut ?? (await fault.findObstacle?.()) ?? null;
        if (reason !== null) {
          process.stderr.write(`Skipped: ${fault.title}: ${reason}.\n`);
          return context.skip(reason);
        }
        const { lost, broken, events, logs } = await inTurn(() => runFault(fault, { isLong: false }));
        expect({ lost, broken }, logs.join('\n')).toEqual({ lost: 0, broken: [] });
        expect(events).toBeGreaterThan(0);
      },
      TIMEOUT_MS,
    );
  }
});
