import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { createLog } from '../../src/log.ts';
import { DeliveryQueue } from '../../src/queue/delivery-queue.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { startEmbeddedPostgres } from '../../src/storage/embedded-postgres.ts';
import { migrateCompletely } from '../../src/storage/migrations/migrate-completely.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Connection string of the database that every test file clones. */
    templateUrl: string;
  }
}

/** Nothing here outlives the run, so nothing needs to reach the disk. */
const SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '300' };

/** One Postgres for the whole run, with one database that is migrated and then cloned by each file. */
export default async function setup(project: TestProject) {
  const path = await mkdtemp(join(tmpdir(), 'posthorn-test-'));
  const postgres = await startEmbeddedPostgres({ path, password: 'test', settings: SETTINGS });
  await migrateCompletely(postgres.url, { log: createLog('silent') });
  await prepareQueue(postgres.url);
  project.provide('templateUrl', postgres.url);
  return async () => {
    await postgres.stop();
    await rm(path, { recursive: true, force: true });
  };
}

async function prepareQueue(databaseUrl: string) {
  const log = createLog('silent');
  const database = openDatabase(databaseUrl, log);
  const queue = new DeliveryQueue({ pool: database.pool, log, supervise: false });
  await queue.start();
  await queue.stop();
  await database.close();
}
