import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { useTestBed } from './support/posthorn.ts';

const MIGRATION = join(import.meta.dirname, '../prisma/migrations/20261130100000_event_types/migration.sql');

/** Makes no attempts. */
const bed = useTestBed({ role: 'api' });

it('deliveries of before the migration are found by the types of their events', async () => {
  await bed.createEndpoint({ url: 'http://127.0.0.1:2/', eventTypes: ['old.*'] });
  const paid = await bed.publish({ type: 'old.paid' });
  const sent = await bed.publish({ type: 'old.sent' });
  await bed.database.query('alter table deliveries drop column event_type');
  await bed.database.query(readFileSync(MIGRATION, 'utf8'));
  const find = async (eventTypes: string[]) => {
    const query = 'query ($filter: DeliveryFilter) { deliveries(filter: $filter) { edges { node { id } } } }';
    const { edges } = await bed.ask(query, { filter: { eventTypes } });
    return edges.map(({ node }: { node: { id: string } }) => node.id);
  };
  expect(await find(['old.paid'])).toEqual(paid.deliveryIds);
  expect(await find(['old.paid', 'old.sent'])).toEqual([...sent.deliveryIds, ...paid.deliveryIds]);
  expect(await find(['old'])).toEqual([]);
});
