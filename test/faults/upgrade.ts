import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ROOT } from './machine.ts';
import type { CleanUps, Disaster } from './scene.ts';

const run = promisify(execFile);
const git = async (...words: string[]) => (await run('git', words, { cwd: ROOT })).stdout.trim();

const MIGRATIONS = 'prisma/migrations';
/** How long both versions run beside each other. */
const TOGETHER_MS = 3_000;

const listMigrations = async (commit: string) =>
  (await git('ls-tree', '--name-only', commit, `${MIGRATIONS}/`)).split('\n').filter((path) => /\/\d+_\w+$/.test(path));

/** The last commit with all migrations but the newest: the version that people upgrade from. */
async function findOldCommit(): Promise<string> {
  const newest = (await listMigrations('HEAD')).sort().at(-1);
  const parents = (await git('log', '--full-history', '--format=%P', '--', MIGRATIONS)).split(/\s+/).filter(Boolean);
  let best = { commit: '', count: 0 };
  for (const commit of new Set(parents)) {
    const migrations = await listMigrations(commit);
    if (newest && !migrations.includes(newest) && migrations.length > best.count)
      best = { commit, count: migrations.length };
  }
  if (best.count === 0) throw new Error('There is no version before the newest migration.');
  return best.commit;
}

/** @returns why there is no older version to upgrade from; null: there is */
export const findHistoryObstacle = (): Promise<string | null> =>
  findOldCommit().then(
    () => null,
    () => 'the history of the code is not here (a shallow clone, or no clone)',
  );

/** An old version runs, a new one comes beside it and migrates, and the old one stops. */
export function upgrade(cleanUps: CleanUps): Disaster {
  return {
    startMachines: async (start) => {
      const root = await checkOut(cleanUps);
      const api = await start({ role: 'api', root });
      return [api, await start({ role: 'worker', root })];
    },
    strike: async (scene) => {
      const old = [...scene.machines];
      await scene.startMachine({ role: 'api' });
      await scene.startMachine({ role: 'worker' });
      await scene.waitForFlow();
      await sleep(TOGETHER_MS);
      scene.machines.splice(0, old.length);
      cleanUps.push(() => Promise.all(old.map((machine) => machine.kill())));
      await Promise.all(old.map((machine) => machine.stop()));
      await scene.waitForFlow();
    },
  };
}

/** The old version in a folder of its own, on the packages of this one. */
async function checkOut(cleanUps: CleanUps): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'posthorn-old-'));
  cleanUps.push(async () => {
    await git('worktree', 'remove', '--force', folder).catch(() => {});
    await rm(folder, { recursive: true, force: true });
  });
  await git('worktree', 'add', '--detach', folder, await findOldCommit());
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  await run('npm', ['run', 'generate', '--silent'], { cwd: folder });
  return folder;
}
