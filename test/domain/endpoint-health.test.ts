import { describe, expect, it } from 'vitest';
import { NO_COUNTS, toStats } from '../../src/domain/delivery-stats.ts';
import { type HealthFacts, judgeHealth } from '../../src/domain/endpoint-health.ts';

const NOW = new Date('2026-01-31T12:00:00Z');
const ago = (seconds: number) => new Date(NOW.getTime() - seconds * 1_000);

const recent = (attemptsSucceeded: number, attemptsFailed: number) =>
  toStats({ ...NO_COUNTS, attemptsSucceeded, attemptsFailed }, { from: ago(300), to: NOW, now: NOW });

/** An endpoint that delivers. */
const FACTS: HealthFacts = {
  endpointId: 'endpoint',
  environmentId: 'environment',
  status: 'ACTIVE',
  isDeleted: false,
  updatedAt: ago(10_000),
  hasOwnLane: false,
  failingSince: null,
  nextProbeAt: null,
  waiting: 0,
  oldestWaitingAt: null,
  failuresInARow: 0,
  lastAttemptAt: ago(10),
  lastSucceededAt: ago(10),
  lastFailedAt: null,
  recent: recent(20, 0),
};

describe('judgeHealth', () => {
  it.each<[title: string, facts: Partial<HealthFacts>, state: string]>([
    ['one that delivers', {}, 'HEALTHY'],
    ['4 failures in a row', { failuresInARow: 4, recent: recent(0, 4) }, 'HEALTHY'],
    ['5 failures in a row', { failuresInARow: 5 }, 'FAILING'],
    ['5 failures in a row, long ago', { failuresInARow: 5, lastAttemptAt: ago(90_000) }, 'FAILING'],
    ['half of the recent attempts failed', { recent: recent(5, 5) }, 'HEALTHY'],
    ['more than half of 10 recent attempts failed', { recent: recent(4, 6) }, 'FAILING'],
    ['more than half of 9 recent attempts failed', { recent: recent(1, 8) }, 'HEALTHY'],
    ['never used', { lastAttemptAt: null, recent: recent(0, 0) }, 'IDLE'],
    ['never used, but something waits', { lastAttemptAt: null, recent: recent(0, 0), waiting: 1 }, 'HEALTHY'],
    ['last attempt 5 minutes ago', { lastAttemptAt: ago(300) }, 'HEALTHY'],
    ['last attempt more than 5 minutes ago', { lastAttemptAt: ago(301) }, 'IDLE'],
    ['the same, and something waits', { lastAttemptAt: ago(301), waiting: 1 }, 'HEALTHY'],
    ['paused and failing', { status: 'PAUSED', failuresInARow: 9 }, 'PAUSED'],
    ['disabled and failing', { status: 'DISABLED', failuresInARow: 9 }, 'DISABLED'],
    ['paused and deleted', { status: 'PAUSED', isDeleted: true }, 'DISABLED'],
  ])('%s: %s is %s', (_, facts, state) => {
    expect(judgeHealth({ ...FACTS, ...facts }, NOW)).toBe(state);
  });
});
