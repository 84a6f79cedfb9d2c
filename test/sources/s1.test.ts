import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { useTestBed } from '../support/posthorn.ts';
import { type ReceivedRequest, useReceiver } from '../support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

const FIELDS = `
  __typename id endpoint { id } event { id type payload } createdAt status
  lastAttempt { responseStatus responseBody } attemptCount deliveredAt`;

const read = (id: string) => bed.ask(`query ($id: ID!) { delivery(id: $id) { ${FIELDS} } }`, { id });

const retry = (deliveryId: string) =>
  bed.ask(
    `mutation ($id: ID!) { retryDelivery(input: { deliveryId: $id }) {
      ... on RetryDeliveryPayload { delivery { ${FIELDS} } } ... on Error { message } } }`,
    { id: deliveryId },
  );

/** An endpoint without automatic retries, and an event for it. @returns all that was made */
async function publishTo(name: string, { payload = { n: 1 }, url = receiver.url(`/${name}`) }: PublishToOptions = {}) {
  const type = `s1.${name}`;
  const endpoint = await bed.createEndpoint({ url, eventTypes: [type], retryPolicy: { maxRetries: 0 } });
  const event = await bed.publish({ type, payload });
  return { type, endpointId: endpoint.id, eventId: event.id, deliveryId: event.deliveryIds[0] as string };
}

interface PublishToOptions {
  payload?: unknown;
  url?: string;
}

const ms = (time: string) => Date.parse(time);

function expectBetween(time: string, from: number, to = Date.now()) {
  expect(ms(time)).toBeGreaterThanOrEqual(from);
  expect(ms(time)).toBeLessThanOrEqual(to);
}

describe('S1: retrying a delivery answers its record', () => {
  it('the record tells of the failure, counts every attempt and says when it was delivered', async () => {
    const payload = { invoice: 'in_7', lines: [{ price: 12.5, text: 'Größe' }], paid: null };
    receiver.answer = () => ({ status: 502, body: 'bad gateway' });
    const beganAt = Date.now();
    const { type, endpointId, eventId, deliveryId } = await publishTo('record', { payload });
    await bed.waitForStatus(deliveryId, 'FAILED');
    const failed = await read(deliveryId);
    const first = receiver.to('/record')[0] as ReceivedRequest;
    expect(JSON.parse(first.body.toString())).toEqual(payload);
    expect(failed).toEqual({
      __typename: 'Delivery',
      id: deliveryId,
      endpoint: { id: endpointId },
      event: { id: eventId, type, payload },
      createdAt: expect.any(String),
      status: 'FAILED',
      lastAttempt: { responseStatus: 502, responseBody: 'bad gateway' },
      attemptCount: 1,
      deliveredAt: null,
    });
    expectBetween(failed.createdAt, beganAt, first.receivedAt);

    const { promise, resolve: release } = Promise.withResolvers<void>();
    receiver.answer = () => promise.then(() => ({ status: 204, body: '' }));
    expect(await retry(deliveryId)).toEqual({ delivery: { ...failed, status: 'PENDING' } });
    const second = (await receiver.waitFor(2, '/record'))[1] as ReceivedRequest;
    release();
    await bed.waitForStatus(deliveryId, 'DELIVERED');
    const delivered = await read(deliveryId);
    expect(delivered).toEqual({
      ...failed,
      status: 'DELIVERED',
      lastAttempt: { responseStatus: 204, responseBody: '' },
      attemptCount: 2,
      deliveredAt: expect.any(String),
    });
    expectBetween(delivered.deliveredAt, second.receivedAt);
    expect(second.headers['webhook-id']).toBe(eventId);
    expect(second.body).toEqual(first.body);
  });

  it('a delivery that arrived can be sent again and keeps the time at which it arrived first', async () => {
    const { deliveryId } = await publishTo('again');
    const { deliveredAt } = await bed.waitForStatus(deliveryId, 'DELIVERED');
    await retry(deliveryId);
    await receiver.waitFor(2, '/again');
    await bed.waitForStatus(deliveryId, 'DELIVERED');
    expect(await read(deliveryId)).toMatchObject({ attemptCount: 2, deliveredAt });
  });

  it('a retry that fails leaves the delivery failed, with one attempt more', async () => {
    receiver.answer = () => ({ status: 500, body: 'one' });
    const { deliveryId } = await publishTo('fails');
    await bed.waitForStatus(deliveryId, 'FAILED');
    receiver.answer = () => ({ status: 404, body: 'two' });
    await retry(deliveryId);
    await receiver.waitFor(2, '/fails');
    await bed.waitForStatus(deliveryId, 'FAILED');
    expect(await read(deliveryId)).toMatchObject({
      attemptCount: 2,
      deliveredAt: null,
      lastAttempt: { responseStatus: 404, responseBody: 'two' },
    });
  });
});

describe('S1: the response body that is kept', () => {
  it.each([
    ['4,096 bytes are kept as they are', 'x'.repeat(4096), 'x'.repeat(4096)],
    ['of 4,097 bytes the last is dropped', 'x'.repeat(4097), 'x'.repeat(4096)],
    ['two-byte characters are not cut apart', `a${'é'.repeat(3000)}`, `a${'é'.repeat(2047)}`],
    ['three-byte characters are not cut apart', '€'.repeat(3000), '€'.repeat(1365)],
    ['four-byte characters are not cut apart', `abc${'😀'.repeat(3000)}`, `abc${'😀'.repeat(1023)}`],
    ['characters that end at 4,096 bytes are all kept', `a${'€'.repeat(3000)}`, `a${'€'.repeat(1365)}`],
  ])('%s', async (_, body, kept) => {
    receiver.answer = () => ({ status: 500, body });
    const { deliveryId } = await publishTo('cut');
    await bed.waitForStatus(deliveryId, 'FAILED');
    const { lastAttempt } = await read(deliveryId);
    expect(Buffer.byteLength(lastAttempt.responseBody)).toBe(Buffer.byteLength(kept));
    expect(lastAttempt.responseBody).toBe(kept);
  });

  it.each([1, 2, 3])(
    'a character is left out whole when a slow answer pauses behind its first %i bytes',
    async (bytes) => {
      const kept = 'x'.repeat(4 - bytes) + '😀'.repeat(1023);
      const body = Buffer.from(`${kept}😀😀`);
      const server = createServer((_, response) => {
        response.writeHead(500).write(body.subarray(0, 4096));
        setTimeout(() => response.end(body.subarray(4096)), 100);
      });
      await once(server.listen(0, '127.0.0.1'), 'listening');
      try {
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
        const { deliveryId } = await publishTo(`pieces-${bytes}`, { url });
        await bed.waitForStatus(deliveryId, 'FAILED');
        expect((await read(deliveryId)).lastAttempt.responseBody).toBe(kept);
      } finally {
        server.close();
        server.closeAllConnections();
      }
    },
  );
});
