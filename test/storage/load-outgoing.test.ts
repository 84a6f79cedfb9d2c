import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeId } from '../../src/domain/ids.ts';
import { type OutgoingDelivery, OutgoingReader } from '../../src/storage/load-outgoing.ts';
import { useTestBed } from '../support/posthorn.ts';

const bed = useTestBed({ role: 'api' });
let pool: pg.Pool;
let statements: string[];

beforeAll(() => {
  pool = new pg.Pool({ connectionString: bed.database.url, max: 1 });
  const query = pool.query.bind(pool) as (...args: unknown[]) => unknown;
  pool.query = ((...args: unknown[]) => {
    statements.push((args[0] as { name: string }).name);
    return query(...args);
  }) as typeof pool.query;
});

afterAll(() => pool.end());

/** An endpoint with a delivery, a reader that has read it once, and the statements it makes from then on. */
async function makeRead() {
  const type = `read.${Math.random().toString(36).slice(2)}`;
  const { id: endpointId } = await bed.createEndpoint({ url: 'http://127.0.0.1:2/a', eventTypes: [type] });
  const { deliveryIds } = await bed.publish({ type });
  const reader = new OutgoingReader(pool);
  const id = decodeId('Delivery', deliveryIds[0] as string) as string;
  const load = async () => {
    statements = [];
    return (await reader.load([id]))[0] as OutgoingDelivery;
  };
  return { endpointId, load, first: await load() };
}

const rotate = (endpointId: string, overlapSeconds: number) =>
  bed.ask(`mutation ($input: RotateEndpointSecretInput!) { rotateEndpointSecret(input: $input) { __typename } }`, {
    input: { endpointId, overlapSeconds },
  });

describe('an endpoint that was read before', () => {
  it('is kept at hand, with the same secrets', async () => {
    const { load, first } = await makeRead();
    expect(statements).toEqual(['load-outgoing', 'load-outgoing-endpoints']);
    const again = await load();
    expect(statements).toEqual(['load-outgoing']);
    expect(again).toEqual(first);
    expect(again.secretsSealed[0]).toBe(first.secretsSealed[0]);
  });

  it('is read anew as soon as it was changed', async () => {
    const { endpointId, load, first } = await makeRead();
    expect(first).toMatchObject({ url: 'http://127.0.0.1:2/a', endpointStatus: 'ACTIVE', hasLane: false });
    await bed.ask(`mutation ($input: UpdateEndpointInput!) { updateEndpoint(input: $input) { __typename } }`, {
      input: { endpointId, url: 'http://127.0.0.1:2/b' },
    });
    expect(await load()).toMatchObject({ url: 'http://127.0.0.1:2/b' });
    await bed.ask(`mutation ($input: PauseEndpointInput!) { pauseEndpoint(input: $input) { __typename } }`, {
      input: { endpointId },
    });
    expect(await load()).toMatchObject({ endpointStatus: 'PAUSED', hasLane: true });
  });

  it('signs with a new secret at once, and with the old one until its overlap ends', async () => {
    const { endpointId, load, first } = await makeRead();
    await rotate(endpointId, 1);
    const both = await load();
    expect(both.secretsSealed).toHaveLength(2);
    expect(both.secretsSealed[1]).toEqual(first.secretsSealed[0]);
    await sleep(1_100);
    const after = await load();
    expect(statements).toEqual(['load-outgoing']);
    expect(after.secretsSealed).toEqual([both.secretsSealed[0]]);
  });

  it('shows a back-off that began meanwhile, though its row was not written', async () => {
    const { endpointId, load, first } = await makeRead();
    expect(first.isBackedOff).toBe(false);
    await bed.database.query(
      `insert into failure_streaks (endpoint_id, failures, began_at, spaced_failures, spaced_at, next_probe_at)
       values ($1, 20, now(), 1, now(), now() + interval '1 minute')`,
      [decodeId('Endpoint', endpointId)],
    );
    expect(await load()).toMatchObject({ isBackedOff: true });
    expect(statements).toEqual(['load-outgoing']);
  });
});
