import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import type { Log } from '../src/log.ts';
import { type SupervisedPostgres, superviseEmbeddedPostgres } from '../src/storage/supervised-postgres.ts';
import { until } from './support/posthorn.ts';
import { findLogLine, useProcesses, waitUntilStarted } from './support/processes.ts';

/** Restarts rest for 8 s altogether before they are given up. */
const GIVE_UP_MS = 60_000;

const { spawnPosthorn } = useProcesses();
const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function makeFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'posthorn-supervised-'));
  cleanUps.push(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Process ID of the main process, which stands in the first line of its file. */
async function readPid(path: string): Promise<number> {
  const text = await readFile(join(path, 'cluster/postmaster.pid'), 'utf8');
  return Number(text.split('\n')[0]);
}

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** A server under supervision, with the events that were logged. */
async function supervise() {
  const path = await makeFolder();
  const events: string[] = [];
  const note = (_: object, event: string) => {
    events.push(event);
  };
  const postgres = await superviseEmbeddedPostgres({ path, password: 'test' }, {
    warn: note,
    error: note,
  } as unknown as Log);
  cleanUps.push(() => postgres.stop());
  return { path, postgres, events };
}

async function query({ url }: SupervisedPostgres, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end().catch(() => {});
  }
}

/** Without this file, no server starts. */
async function breakCluster(path: string) {
  await rename(join(path, 'cluster/global/pg_control'), join(path, 'pg_control'));
}

describe('the embedded Postgres', () => {
  it('is restarted on the same port if its main process is killed while a statement runs', async () => {
    const { path, postgres, events } = await supervise();
    await query(postgres, 'create table kept (id int)');
    const pid = await readPid(path);
    // Its backend does not notice that the main process is gone before the statement ends.
    const busy = query(postgres, `select count(*) from generate_series(1, 5000000)`).catch(() => null);
    await until(
      async () =>
        (
          await query(
            postgres,
            `select 1 from pg_stat_activity where query like '%generate_series%' and pid <> pg_backend_pid()`,
          )
        ).length > 0,
      'the statement to run',
    );
    process.kill(pid, 'SIGKILL');
    await until(() => events.includes('postgres.restarted'), 'the restart');
    expect(events).toEqual(['postgres.ended', 'postgres.restarted']);
    expect(await readPid(path)).not.toBe(pid);
    expect(await query(postgres, 'select * from kept')).toEqual([]);
    await busy;
  }, 60_000);

  it('recovers by itself if one of its backends is killed, without a restart of the main process', async () => {
    const { path, postgres, events } = await supervise();
    const pid = await readPid(path);
    const [backend] = await query(postgres, `select pid from pg_stat_activity where backend_type = 'walwriter'`);
    process.kill(Number(backend?.pid), 'SIGKILL');
    await until(
      () =>
        query(postgres, 'select 1').then(
          () => true,
          () => false,
        ),
      'it to answer again',
    );
    expect(await readPid(path)).toBe(pid);
    expect(events).toEqual([]);
  });

  it('can be stopped while it is restarted', async () => {
    const { path, postgres, events } = await supervise();
    const pid = await readPid(path);
    await breakCluster(path);
    process.kill(pid, 'SIGKILL');
    await until(() => events.includes('postgres.restart_failed'), 'a restart that fails');
    await postgres.stop();
    expect(events).not.toContain('postgres.restarted');
  });
});

describe('a Posthorn with the embedded Postgres', () => {
  it('answers again after its Postgres was killed, and reports it in the log', async () => {
    const path = await makeFolder();
    const posthorn = spawnPosthorn({ POSTHORN_DATA_DIR: path });
    const url = await waitUntilStarted(posthorn);
    const pid = await readPid(path);
    process.kill(pid, 'SIGKILL');
    await until(() => findLogLine(posthorn.stdout(), 'postgres.restarted'), 'the restart');
    await until(async () => (await fetch(`${url}/readyz`)).ok, 'Posthorn to be ready');
    expect(findLogLine(posthorn.stdout(), 'postgres.ended')).toMatchObject({ pid, signal: 'SIGKILL' });
    const restarted = await readPid(path);
    posthorn.child.kill('SIGTERM');
    expect(await posthorn.exited).toEqual({ code: 0, signal: null });
    expect(isAlive(restarted)).toBe(false);
  }, 60_000);

  it(
    'exits with code 1 and one clear line if its Postgres cannot be restarted',
    async () => {
      const path = await makeFolder();
      const posthorn = spawnPosthorn({ POSTHORN_DATA_DIR: path });
      await waitUntilStarted(posthorn);
      await breakCluster(path);
      const before = posthorn.stderr().length;
      process.kill(await readPid(path), 'SIGKILL');
      expect(await posthorn.exited).toEqual({ code: 1, signal: null });
      expect(posthorn.stderr().slice(before)).toMatch(
        /^The embedded Postgres ended and cannot be restarted \(.+\)\. .*\n$/,
      );
    },
    GIVE_UP_MS,
  );
});
