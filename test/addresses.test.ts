import { describe, expect, it } from 'vitest';
import { decodeId } from '../src/domain/ids.ts';
import { useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';

/** As in production: nothing but public addresses may be reached. */
const bed = useTestBed({ allowedNetworks: [] });
const receiver = useReceiver();

const PUBLIC_URL = 'https://example.com/';
let count = 0;

/** Makes an endpoint whose URL was stored when it was allowed still, sends it one event, and waits for the end of that. */
async function sendTo(url: string, send = bed) {
  count += 1;
  const type = `address-${count}.used`;
  const retryPolicy = { maxRetries: 5, delaysSeconds: [1] };
  const { id } = await send.createEndpoint({ url: PUBLIC_URL, eventTypes: [type], retryPolicy });
  const uuid = decodeId('Endpoint', id);
  await send.database.query('update endpoints set url = $2 where id = $1', [uuid, new URL(url).href]);
  const { deliveryIds } = await send.publish({ type });
  return send.waitForStatus(deliveryIds[0] as string, 'FAILED', 'DELIVERED', 'RETRYING');
}

const port = () => new URL(receiver.url()).port;

/** Where a look-up is not needed to tell that nothing may go there. */
const BLOCKED: [string, () => string][] = [
  ['loopback', () => `http://127.0.0.1:${port()}/`],
  ['another loopback address', () => `http://127.9.9.9:${port()}/`],
  ['loopback by the name localhost', () => `http://localhost:${port()}/`],
  ['loopback by the name localhost with a dot', () => `http://localhost.:${port()}/`],
  ['loopback by a name below localhost', () => `http://app.localhost:${port()}/`],
  ['loopback as one decimal number', () => `http://2130706433:${port()}/`],
  ['loopback as one hexadecimal number', () => `http://0x7f000001:${port()}/`],
  ['loopback in octal', () => `http://0177.0.0.1:${port()}/`],
  ['loopback in short', () => `http://127.1:${port()}/`],
  ['loopback with a dot', () => `http://127.0.0.1.:${port()}/`],
  ['loopback in other digits', () => `http://①②⑦.0.0.1:${port()}/`],
  ['this host', () => `http://0.0.0.0:${port()}/`],
  ['IPv6 loopback', () => `http://[::1]:${port()}/`],
  ['IPv6 unspecified', () => `http://[::]:${port()}/`],
  ['loopback mapped into IPv6', () => `http://[::ffff:127.0.0.1]:${port()}/`],
  ['loopback mapped into IPv6 in hexadecimal', () => `http://[::ffff:7f00:1]:${port()}/`],
  ['loopback behind NAT64', () => `http://[64:ff9b::7f00:1]:${port()}/`],
  ['loopback behind 6to4', () => `http://[2002:7f00:1::]:${port()}/`],
  ['loopback behind ISATAP', () => `http://[2606:4700::5efe:7f00:1]:${port()}/`],
  ['loopback in an IPv4-compatible IPv6 address', () => `http://[::7f00:1]:${port()}/`],
  ["a cloud's metadata", () => 'http://169.254.169.254/latest/meta-data/'],
  ["a cloud's metadata as a number", () => 'http://2852039166/latest/meta-data/'],
  ["a cloud's metadata by name", () => 'http://metadata.google.internal./computeMetadata/v1/'],
  ["a cloud's metadata over IPv6", () => 'http://[fd00:ec2::254]/latest/meta-data/'],
  ["a cloud's platform", () => 'http://168.63.129.16/machine'],
  ['link-local IPv6', () => 'http://[fe80::1]/'],
  ['a private network', () => 'http://10.0.0.1/'],
  ['another private network', () => 'http://172.16.0.1/'],
  ['a home network', () => 'http://192.168.0.1/'],
  ["a carrier's network", () => 'http://100.64.0.1/'],
  ['broadcast', () => 'http://255.255.255.255/'],
  ['multicast', () => 'http://224.0.0.1/'],
  ['unique local IPv6', () => 'http://[fc00::1]/'],
  ['loopback over TLS', () => `https://127.0.0.1:${port()}/`],
  ['the port of a database', () => 'http://example.com:5432/'],
  ['the port of a mail server', () => 'https://8.8.8.8:25/'],
];

describe('an address that is not public', () => {
  it.each(BLOCKED)('(%s) is refused when an endpoint is made, and when its URL is changed', async (_, makeUrl) => {
    const url = makeUrl();
    const answers = `__typename ... on InvalidInputError { issues { path message } }`;
    const refusal = {
      __typename: 'InvalidInputError',
      issues: [{ path: ['url'], message: expect.stringMatching(/^Deliveries must not reach .*POSTHORN_/) }],
    };
    const create = `mutation ($url: URL!) { createEndpoint(input: { url: $url }) { ${answers} } }`;
    expect(await bed.ask(create, { url })).toEqual(refusal);
    const { id } = await bed.createEndpoint({ url: PUBLIC_URL, eventTypes: ['never.sent'] });
    const update = `mutation ($id: ID!, $url: URL!) { updateEndpoint(input: { endpointId: $id, url: $url }) { ${answers} } }`;
    expect(await bed.ask(update, { id, url })).toEqual(refusal);
    expect(await bed.ask('query ($id: ID!) { endpoint(id: $id) { url } }', { id })).toEqual({ url: PUBLIC_URL });
  });

  it.each(BLOCKED)('(%s) is never reached: the delivery is a dead letter at once', async (_, makeUrl) => {
    const delivery = await sendTo(makeUrl());
    expect(delivery).toMatchObject({ status: 'FAILED', attemptCount: 1, retryCount: 0, nextAttemptAt: null });
    expect(delivery.attempts).toMatchObject([
      { status: 'FAILED', responseStatus: null, isDeadLetter: true, error: { code: 'BLOCKED_ADDRESS' } },
    ]);
    expect(delivery.attempts[0]?.error?.message).toContain('POSTHORN_');
    expect(receiver.requests).toEqual([]);
  });

  it('is checked at every attempt, also at a retry by hand', async () => {
    const { id } = await sendTo(`http://localhost:${port()}/`);
    const retry = 'mutation ($id: ID!) { retryDelivery(input: { deliveryId: $id }) { __typename } }';
    expect(await bed.ask(retry, { id })).toEqual({ __typename: 'RetryDeliveryPayload' });
    const delivery = await bed.waitForStatus(id, 'FAILED', 'DELIVERED');
    expect(delivery.attempts).toMatchObject([
      { trigger: 'INITIAL', error: { code: 'BLOCKED_ADDRESS' } },
      { trigger: 'MANUAL', error: { code: 'BLOCKED_ADDRESS' } },
    ]);
    expect(receiver.requests).toEqual([]);
  });
});

describe('a network that the operator allows', () => {
  const allowing = useTestBed({ allowedNetworks: ['127.0.0.2/32'] });

  it('is reached, and the ones beside it are not', async () => {
    const blocked = await sendTo(`http://127.0.0.1:${port()}/`, allowing);
    expect(blocked).toMatchObject({ status: 'FAILED', attempts: [{ error: { code: 'BLOCKED_ADDRESS' } }] });
    // Nobody listens there, which is found out by trying only.
    const tried = await sendTo(`http://127.0.0.2:${port()}/`, allowing);
    expect(tried).toMatchObject({ status: 'RETRYING', attempts: [{ error: { code: 'CONNECTION' } }] });
    expect(receiver.requests).toEqual([]);
  });
});

describe('a host and a port that the operator allows', () => {
  const allowing = useTestBed({ allowedNetworks: [], allowedHosts: ['localhost'], deniedPorts: [] });

  it('are reached by that name, and by no other that leads to the same address', async () => {
    const { id } = await allowing.createEndpoint({ url: `http://localhost:${port()}/in`, eventTypes: ['by.name'] });
    const { deliveryIds } = await allowing.publish({ type: 'by.name' });
    expect(await allowing.waitForStatus(deliveryIds[0] as string, 'DELIVERED', 'FAILED')).toMatchObject({
      status: 'DELIVERED',
    });
    expect(id).toMatch(/^ep_/);
    expect(receiver.to('/in')).toHaveLength(1);
    const blocked = await sendTo(`http://127.0.0.1:${port()}/`, allowing);
    expect(blocked).toMatchObject({ status: 'FAILED', attempts: [{ error: { code: 'BLOCKED_ADDRESS' } }] });
  });

  it('may be given to an endpoint', async () => {
    await allowing.createEndpoint({ url: 'http://localhost:5432/', eventTypes: ['never.sent'] });
  });
});

describe('a process whose settings allow less than those of another', () => {
  it('refuses on its own, so that what the other took is not sent by it', async () => {
    const open = await bed.startProcess({ role: 'api', allowedNetworks: ['127.0.0.0/8'] });
    const url = receiver.url('/open');
    await bed.createEndpoint({ url, eventTypes: ['of.both'] }, { url: open.url });
    const { deliveryIds } = await bed.publish({ type: 'of.both' });
    const delivery = await bed.waitForStatus(deliveryIds[0] as string, 'FAILED', 'DELIVERED');
    expect(delivery.attempts).toMatchObject([{ error: { code: 'BLOCKED_ADDRESS' } }]);
    expect(receiver.requests).toEqual([]);
  });
});
