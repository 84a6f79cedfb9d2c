import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { DatabaseLine } from './database-line.ts';
import { findPoolerObstacle, throughPooler } from './pooler.ts';
import {
  compareTimeFilters,
  deleteJobs,
  findRestoreObstacle,
  killSupervised,
  restoreDump,
  restoreOlderState,
} from './restores.ts';
import type { Fault } from './run.ts';
import type { CleanUps, Disaster, Scene } from './scene.ts';
import { findHistoryObstacle, upgrade } from './upgrade.ts';

const run = promisify(execFile);

/** How long what is broken stays so, in the long form and in the short one. */
const OUTAGE_MS = { long: 30_000, short: 5_000 };
/** How often something is done to a connection or a process again, in the long form and in the short one. */
const TIMES = { long: 8, short: 3 };
/** An hour, as libfaketime reads it. */
const CLOCK_STEPS = ['-3600', '+0', '+3600'];
const CLOCK_STEP_MS = 4_000;
const LIBFAKETIME_PATHS = [
  '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1',
  '/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1',
];
/** A new cluster has about 70 MB, and its log grows while it runs. */
const SMALL_DISK = '180m';

const timesOf = ({ isLong }: Scene) => (isLong ? TIMES.long : TIMES.short);
const outageOf = ({ isLong }: Scene) => sleep(isLong ? OUTAGE_MS.long : OUTAGE_MS.short);

async function repeat(scene: Scene, restMs: number, work: () => unknown) {
  for (let left = timesOf(scene); left > 0; left -= 1) {
    await work();
    await sleep(Math.random() * restMs);
  }
}

/** A line between Posthorn and Postgres that breaks as the work has it. */
function overLine(cleanUps: CleanUps, strike: (scene: Scene, line: DatabaseLine) => Promise<void>): Disaster {
  let line: DatabaseLine;
  return {
    connect: async (cluster) => {
      line = new DatabaseLine(cluster.port);
      await line.start();
      cleanUps.push(() => line.stop());
      return { databaseUrl: line.over(cluster.url) };
    },
    strike: (scene) => strike(scene, line),
  };
}

/** Resolves when an endpoint comes to a moment of a request. */
const waitForMoment = ({ endpoints }: Scene, name: string, moment: 'received' | 'answered') =>
  new Promise<void>((resolve) => {
    const watcher = (at: string, what: string) => {
      if (at !== name || what !== moment) return;
      endpoints.watchers.delete(watcher);
      resolve();
    };
    endpoints.watchers.add(watcher);
  });

/** Kills workers before they connect, while an endpoint holds its response, and between a response and its record. */
async function killWorkersAtMoments(scene: Scene) {
  const moments = [
    async () => sleep(Math.random() * 100),
    () => waitForMoment(scene, 'slow', 'received'),
    () => waitForMoment(scene, 'good', 'answered'),
  ];
  for (let round = scene.isLong ? 2 : 1; round > 0; round -= 1) {
    for (const moment of moments) {
      await moment();
      await scene.killWorkers();
      await sleep(300);
    }
  }
}

/** Of Posthorn, chosen at random. */
const endBackends = (scene: Scene) =>
  repeat(scene, 300, async () => {
    const where = `application_name <> 'faults' and backend_type = 'client backend' and random() < $1`;
    const sql = `select pg_terminate_backend(pid) from pg_stat_activity where ${where}`;
    await scene.cluster.query(sql, [Math.random()]);
  });

const findLibfaketime = () => LIBFAKETIME_PATHS.find((path) => existsSync(path));

const findClockObstacle = async () =>
  findLibfaketime() ? null : 'libfaketime is not installed (apt-get install faketime)';

/** Processes that are started with the variables have a wall clock that is set by writing to a file. Timers go on as they should. */
async function makeClock(cleanUps: CleanUps) {
  const folder = await mkdtemp(join(tmpdir(), 'posthorn-clock-'));
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'offset');
  await writeFile(path, '+0');
  const env = {
    LD_PRELOAD: findLibfaketime() as string,
    FAKETIME_TIMESTAMP_FILE: path,
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    FAKETIME_CACHE_DURATION: '1',
  };
  return { env, set: (offset: string) => writeFile(path, offset) };
}

type Clock = Awaited<ReturnType<typeof makeClock>>;

/** At each time, what is published arrives. The last step stays. */
async function stepClock(scene: Scene, clock: Clock) {
  for (const offset of CLOCK_STEPS) {
    await clock.set(offset);
    await sleep(CLOCK_STEP_MS);
    await scene.waitForFlow();
  }
}

/** Rows that were stored while the clock was ahead have IDs and times of the future. */
async function correctClock(scene: Scene, clock: Clock) {
  for (const offset of ['+3600', '+0']) {
    await clock.set(offset);
    await sleep(CLOCK_STEP_MS);
    await scene.waitForFlow();
  }
  await sleep(CLOCK_STEP_MS);
  await compareTimeFilters(scene);
  // An hour passes: retries keep the time that they were given while the clock was ahead.
  await clock.set('+3600');
}

const tmpfs = {
  findObstacle: async () => {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'mounting a small disk takes root on Linux';
    const path = await mkdtemp(join(tmpdir(), 'posthorn-mount-'));
    try {
      await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'posthorn', path]);
      await run('umount', [path]);
      return null;
    } catch {
      return 'this machine allows no mounts';
    } finally {
      await rm(path, { recursive: true, force: true });
    }
  },
};

/** A Postgres on a disk that is full for a while. Where that ends it, it is started again when there is room. */
function fullDisk(cleanUps: CleanUps): Disaster {
  let path: string;
  return {
    makeCluster: async () => {
      path = await mkdtemp(join(tmpdir(), 'posthorn-disk-'));
      await run('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_DISK},mode=0777`, 'posthorn', path]);
      cleanUps.push(async () => {
        await run('umount', ['--lazy', path]);
        await rm(path, { recursive: true, force: true });
      });
      await mkdir(join(path, 'postgres'));
      return { path: join(path, 'postgres') };
    },
    strike: async (scene) => {
      const ballast = join(path, 'ballast');
      // It ends where nothing more goes in.
      await run('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=64k']).catch(() => {});
      await outageOf(scene);
      await truncate(ballast);
      await sleep(1_000);
      if (!scene.cluster.isAlive()) await scene.cluster.start();
    },
  };
}

export const FAULTS: Fault[] = [
  {
    name: 'none',
    title: 'nothing breaks',
    runs: 1,
    leftOut: 'it breaks nothing',
    make: () => ({ strike: () => sleep(3_000) }),
  },
  {
    name: 'worker-kill',
    title:
      'all workers killed (SIGKILL): before they connect, while endpoints hold responses, between response and record',
    runs: 3,
    leftOut: null,
    make: () => ({ strike: killWorkersAtMoments }),
  },
  {
    name: 'api-kill',
    title: 'the API killed (SIGKILL) while it publishes',
    runs: 3,
    leftOut: null,
    make: () => ({
      strike: (scene) =>
        repeat(scene, 500, async () => {
          await scene.of('api')[0]?.kill();
          await scene.of('api')[0]?.start();
        }),
    }),
  },
  {
    name: 'postgres-kill',
    title: 'Postgres killed with all its backends (SIGKILL), crash recovery',
    runs: 3,
    leftOut: null,
    make: () => ({
      strike: (scene) =>
        repeat(scene, 1_000, async () => {
          await scene.cluster.kill();
          await sleep(Math.random() * 500);
          await scene.cluster.start();
        }),
    }),
  },
  {
    name: 'postgres-frozen',
    title: 'Postgres stands still for 30 s (SIGSTOP)',
    runs: 2,
    leftOut: 'the long form has it, and five seconds of it are little',
    make: () => ({
      strike: async (scene) => {
        scene.cluster.freeze();
        await outageOf(scene);
        scene.cluster.thaw();
      },
    }),
  },
  {
    name: 'postgres-stopped',
    title: 'Postgres stopped in order, away for 30 s',
    runs: 2,
    leftOut: null,
    make: () => ({
      strike: async (scene) => {
        await scene.cluster.stop();
        await outageOf(scene);
        await scene.cluster.start();
      },
    }),
  },
  {
    name: 'backends-ended',
    title: 'backends ended at random (pg_terminate_backend), in the middle of transactions',
    runs: 3,
    leftOut: 'the long form has it, and test/faults.test.ts',
    make: () => ({ strike: endBackends }),
  },
  {
    name: 'connections-reset',
    title: 'connections to Postgres reset at random (TCP)',
    runs: 3,
    leftOut: 'the long form has it, and answers to commits are lost by resets too',
    make: (cleanUps) => overLine(cleanUps, (scene, line) => repeat(scene, 300, () => line.cut(Math.random()))),
  },
  {
    name: 'commit-answer-lost',
    title: 'connections reset after COMMIT was sent, before its answer',
    runs: 3,
    leftOut: null,
    make: (cleanUps) =>
      overLine(cleanUps, async (scene, line) => {
        line.commitLoss = 0.2;
        await sleep(scene.isLong ? 10_000 : 4_000);
        line.commitLoss = 0;
        if (line.lostCommits === 0) throw new Error('No answer to a commit was lost.');
      }),
  },
  {
    name: 'disk-full',
    title: "Postgres' disk is full for 30 s (tmpfs of 180 MB)",
    runs: 2,
    leftOut: null,
    findObstacle: tmpfs.findObstacle,
    make: fullDisk,
  },
  {
    name: 'listen-deaf',
    title: 'LISTEN connections go silent without closing',
    runs: 2,
    leftOut: null,
    make: (cleanUps) =>
      overLine(cleanUps, async (scene, line) => {
        if (line.deafen('listeners') === 0) throw new Error('Nobody listens.');
        await scene.waitForFlow();
        await outageOf(scene);
      }),
  },
  {
    name: 'database-deaf',
    title: 'all connections to Postgres go silent without closing',
    runs: 2,
    leftOut: 'it takes the time that a statement may take',
    make: (cleanUps) =>
      overLine(cleanUps, async (scene, line) => {
        line.deafen('all');
        await outageOf(scene);
      }),
  },
  {
    name: 'clock-posthorn',
    title: "Posthorn's clock is set back by an hour, forth by one, and by one more (libfaketime)",
    runs: 2,
    leftOut: null,
    findObstacle: findClockObstacle,
    make: (cleanUps) => withClock(cleanUps, 'posthorn'),
  },
  {
    name: 'clock-postgres',
    title: "Postgres' clock is set back by an hour, forth by one, and by one more (libfaketime)",
    runs: 2,
    leftOut: 'the long form has it, and test/faults.test.ts sets back the heartbeats of jobs',
    findObstacle: findClockObstacle,
    make: (cleanUps) => withClock(cleanUps, 'postgres'),
  },
  {
    name: 'clock-corrected',
    title: "Posthorn's clock is ahead by an hour, and is corrected (libfaketime)",
    runs: 2,
    leftOut: 'the long form has it, and test/corrected-clock.test.ts',
    findObstacle: findClockObstacle,
    make: (cleanUps) => withClock(cleanUps, 'posthorn', correctClock),
  },
  {
    name: 'endpoints-lie',
    title: 'endpoints that reset, stall, promise more than they send, send garbage, beside good ones',
    runs: 2,
    leftOut: null,
    hasBadEndpoints: true,
    make: () => ({ strike: () => sleep(4_000) }),
  },
  {
    name: 'upgrade',
    title: 'the version before the newest migration and this one on one database, then the old one stops',
    runs: 2,
    leftOut: null,
    findObstacle: findHistoryObstacle,
    make: upgrade,
  },
  {
    name: 'pooler',
    title: 'through PgBouncer in transaction mode, with backends ended at random',
    runs: 2,
    leftOut: null,
    findObstacle: findPoolerObstacle,
    make: (cleanUps) => ({ connect: throughPooler(cleanUps), strike: endBackends }),
  },
  {
    name: 'dump-restored',
    title: 'the database is dumped and restored into a new cluster (pg_dump, pg_restore)',
    runs: 2,
    leftOut: null,
    findObstacle: findRestoreObstacle,
    make: restoreDump,
  },
  {
    name: 'older-state-restored',
    title: 'an older copy of the data directory takes the place of the database',
    runs: 2,
    leftOut: null,
    make: restoreOlderState,
  },
  {
    name: 'jobs-deleted',
    title: 'waiting jobs are deleted from the queue',
    runs: 2,
    leftOut: 'the long form has it, and test/stranded.test.ts',
    make: () => ({ strike: deleteJobs }),
  },
  {
    name: 'postmaster-killed',
    title: 'the main process of the embedded Postgres is killed (SIGKILL), and restarted by its supervision',
    runs: 2,
    leftOut: 'the long form has it, and test/supervised-postgres.test.ts',
    make: killSupervised,
  },
];

/** A clock for Posthorn's processes, or for those of Postgres. */
function withClock(cleanUps: CleanUps, whose: 'posthorn' | 'postgres', strike = stepClock): Disaster {
  let clock: Clock;
  const env: Record<string, string> = {};
  return {
    env,
    makeCluster: async () => {
      clock = await makeClock(cleanUps);
      if (whose === 'postgres') return { env: clock.env };
      Object.assign(env, clock.env);
      return {};
    },
    strike: (scene) => strike(scene, clock),
  };
}
