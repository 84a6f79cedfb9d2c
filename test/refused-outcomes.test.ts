import { describe, expect, it } from 'vitest';
import { decodeId } from '../src/domain/ids.ts';
import { useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

/** Makes the database refuse to change these deliveries, until the function returned is called. */
async function refuse(deliveryIds: string[]) {
  const ids = deliveryIds.map((id) => decodeId('Delivery', id));
  await bed.database.query(`create function refuse() returns trigger language plpgsql as $$
    begin if new.id = any('{${ids}}') then raise exception 'refused by a test'; end if; return new; end $$`);
  await bed.database.query('create trigger refuse before update on deliveries for each row execute function refuse()');
  return () => bed.database.query('drop function refuse cascade');
}

describe.each([
  ['in the shared lane', {}],
  ['in a lane of the endpoint', { rateLimitPerSecond: 1_000 }],
])('deliveries whose outcome the database refuses, %s', (_, input) => {
  it('delay no other, are sent once, and are recorded as soon as the database takes them', async () => {
    const path = `/${Object.keys(input)[0] ?? 'shared'}`;
    const type = path.slice(1);
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    receiver.answer = async () => {
      await gate;
      return {};
    };
    await bed.createEndpoint({ url: receiver.url(path), eventTypes: [type], ...input });
    const bad = (await Promise.all([1, 2, 3].map(() => bed.publish({ type })))).flatMap(
      ({ deliveryIds }) => deliveryIds,
    );
    await receiver.waitFor(3, path);
    const accept = await refuse(bad);
    open();
    for (let count = 0; count < 5; count += 1) {
      const { deliveryIds } = await bed.publish({ type });
      await bed.waitForStatus(deliveryIds[0] as string, 'DELIVERED');
    }
    for (const id of bad) expect(await bed.readDelivery(id)).toMatchObject({ status: 'PENDING', attemptCount: 0 });
    await accept();
    for (const id of bad) expect(await bed.waitForStatus(id, 'DELIVERED')).toMatchObject({ attemptCount: 1 });
    expect(receiver.to(path)).toHaveLength(8);
  }, 40_000);
});
