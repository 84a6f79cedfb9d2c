import { setTimeout as sleep } from 'node:timers/promises';
import { type Findings, inspect, inspectLeftovers, waitUntilLanesClose } from './invariants.ts';
import { type CleanUps, type Disaster, openScene, type Scene } from './scene.ts';

/** A way for machines to fail. */
export interface Fault {
  /** For the command line. */
  name: string;
  /** What happens, in words. */
  title: string;
  /** Runs of the long form. */
  runs: number;
  /** Why the short form leaves it out; null: it does not. */
  leftOut: string | null;
  hasBadEndpoints?: boolean;
  /** @returns why it can't be tried on this machine; null: it can */
  findObstacle?: () => Promise<string | null>;
  make: (cleanUps: CleanUps) => Disaster;
}

/** What came of one run. */
export interface RunResult extends Findings {
  /** From the end of the fault until nothing that was due waited any more. */
  recoveryMs: number;
  /** Last words of the processes, to tell why something broke. */
  logs: string[];
}

const RECOVERY_MS_MAX = 120_000;
const LOOK_MS = 50;

/** Sets up, strikes, waits until everything has come to rest, and looks at what is left. */
export async function runFault(fault: Fault, { isLong }: { isLong: boolean }): Promise<RunResult> {
  const cleanUps: CleanUps = [];
  underWay.add(cleanUps);
  try {
    const disaster = fault.make(cleanUps);
    const hasBadEndpoints = fault.hasBadEndpoints === true;
    const scene = await openScene({ disaster, isLong, hasBadEndpoints, cleanUps });
    await disaster.strike(scene);
    return await conclude(scene);
  } finally {
    underWay.delete(cleanUps);
    await cleanUp(cleanUps);
  }
}

/** Ends all that runs have started, where the program is told to stop. */
export const abortRuns = () => Promise.all([...underWay].map(cleanUp));

const underWay = new Set<CleanUps>();

/** In reverse, and to the end, whatever fails on the way. */
async function cleanUp(cleanUps: CleanUps) {
  const errors: unknown[] = [];
  for (const undo of cleanUps.splice(0).reverse()) {
    await Promise.resolve()
      .then(undo)
      .catch((error) => errors.push(error));
  }
  if (errors.length > 0) throw new AggregateError(errors, 'Not everything could be cleaned up.');
}

async function conclude(scene: Scene): Promise<RunResult> {
  const endedAt = performance.now();
  await scene.publishers.stop();
  const stuck = await waitUntilRest(scene, endedAt + RECOVERY_MS_MAX);
  const recoveryMs = performance.now() - endedAt;
  const findings = await inspect(scene);
  if (stuck === null) await waitUntilLanesClose(scene);
  await Promise.all(scene.of('worker').map((worker) => worker.stop()));
  const leftovers = stuck === null ? await inspectLeftovers(scene) : [stuck];
  const logs = scene.machines.map(({ role, log }) => `Log of the ${role}:\n${log}`);
  return { ...findings, broken: [...leftovers, ...findings.broken], recoveryMs, logs };
}

/** @returns what is stuck, where the time ran out; null: nothing waits */
async function waitUntilRest({ cluster }: Scene, deadline: number): Promise<string | null> {
  for (;;) {
    const waiting = await cluster.query<{ status: string; name: string; count: number }>(
      `select d.status::text, e.name, count(*)::int from deliveries d join endpoints e on e.id = d.endpoint_id
       where d.status in ('PENDING', 'RETRYING', 'HELD') group by 1, 2`,
    );
    if (waiting.length === 0) return null;
    if (performance.now() > deadline) {
      return `Deliveries are stuck: ${waiting.map(({ status, name, count }) => `${count} ${status} to ${name}`).join(', ')}.`;
    }
    await sleep(LOOK_MS);
  }
}
