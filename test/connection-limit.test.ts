import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { useFollowing } from './support/following.ts';
import { keepLog } from './support/log-lines.ts';
import { doMainJob } from './support/main-job.ts';
import { TestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';
import { withRole } from './support/roles.ts';

const receiver = useReceiver();
const bed = new TestBed({});
const { follow } = useFollowing(bed);
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

const GRANTS = ['public', 'pgboss'].flatMap((schema) => [
  `grant usage on schema ${schema} to {role}`,
  `grant select, insert, update, delete on all tables in schema ${schema} to {role}`,
  `grant usage on all sequences in schema ${schema} to {role}`,
]);
const READ = '{ events(first: 1) { edges { node { id } } } }';

it.each([12, 6])(
  'callers and workers share what a role with %i connections may have: all reads and deliveries succeed',
  async (connectionLimit) => {
    const { log, lines } = keepLog();
    await withRole(database, { grants: GRANTS, connectionLimit }, async ({ url }) => {
      bed.posthorn = await bed.startProcess({ databaseUrl: url }, log);
      try {
        const { key } = await bed.createTenant('crowd');
        await bed.createEndpoint({ url: receiver.url('/crowd'), eventTypes: ['crowd.test'] }, { key });
        const reads = Array.from({ length: 40 }, () => bed.graphql(READ, {}, { key }));
        const publishes = Array.from({ length: 40 }, () => bed.publish({ type: 'crowd.test' }, { key }));
        for (const { errors } of await Promise.all(reads)) expect(errors).toBeUndefined();
        await Promise.all(publishes);
        // A request may be repeated if its outcome could not be recorded in time. Waiting for connections takes long on a busy machine.
        const arrived = () => new Set(receiver.to('/crowd').map(({ headers }) => headers['webhook-id'])).size;
        await vi.waitFor(() => expect(arrived()).toBe(40), { timeout: 40_000, interval: 20 });
        await doMainJob({ bed, receiver, follow });
      } finally {
        await bed.posthorn.stop();
      }
    });
    expect(lines.filter(({ level }) => level >= 50)).toEqual([]);
  },
  60_000,
);
