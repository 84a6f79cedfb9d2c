import { setImmediate as turn } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../src/config.ts';
import { Connections } from '../src/deliver/connections.ts';
import { exchange } from '../src/deliver/exchange.ts';
import { Sender, type SenderOptions } from '../src/deliver/sender.ts';
import { newId } from '../src/domain/ids.ts';
import { Keyring } from '../src/domain/sealing.ts';
import { makeTargetPolicy } from '../src/domain/target-policy.ts';
import type { OutgoingDelivery } from '../src/storage/load-outgoing.ts';
import { CERTIFICATE_COLUMN } from '../src/storage/sealed-columns.ts';
import { type IssuedCertificate, issueCertificate } from './support/certificates.ts';
import { createTestDatabase } from './support/database.ts';
import { ENCRYPTION_KEY, until, useTestBed } from './support/posthorn.ts';
import { findLogLine, useProcesses, waitUntilStarted } from './support/processes.ts';
import { useProxy } from './support/proxy.ts';
import { useReceiver } from './support/receiver.ts';
import { TlsReceiver } from './support/tls-receiver.ts';

const PASSWORD = 'hunter2:@/';
const CREDENTIALS = `posthorn:${encodeURIComponent(PASSWORD)}`;
const AUTHORIZATION = `Basic ${Buffer.from(`posthorn:${PASSWORD}`).toString('base64')}`;
const overrides: Partial<Config> = {};
const keyring = new Keyring(ENCRYPTION_KEY);
const trusted = getCACertificates('default');

let authority: IssuedCertificate;
let server: IssuedCertificate;
let client: IssuedCertificate;

beforeAll(async () => {
  authority = await issueCertificate({ name: 'authority', isAuthority: true });
  server = await issueCertificate({ name: 'localhost', authority });
  client = await issueCertificate({ name: 'posthorn', authority });
  setDefaultCACertificates([...trusted, authority.certificate]);
});

afterAll(() => setDefaultCACertificates(trusted));

const proxy = useProxy();
const secureProxy = useProxy(() => server);

beforeAll(() => {
  overrides.proxyUrl = `http://${CREDENTIALS}@127.0.0.1:${proxy.port}`;
});

const bed = useTestBed(overrides);
const receiver = useReceiver();
const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const { spawnOn } = useProcesses();

async function receive(): Promise<TlsReceiver> {
  const { certificate: cert, privateKey: key } = server;
  const options = { cert, key, ca: authority.certificate, requestCert: true, rejectUnauthorized: false };
  const made = await new TlsReceiver(options).start();
  cleanUps.push(() => made.stop());
  return made;
}

function makeSender(options: Partial<SenderOptions> = {}): Sender {
  const proxyUrl = `http://${CREDENTIALS}@127.0.0.1:${proxy.port}`;
  const sender = new Sender({
    keyring,
    targetPolicy: policyFor(['127.0.0.0/8']),
    proxyUrl,
    userAgent: 'test',
    ...options,
  });
  cleanUps.push(() => sender.close());
  return sender;
}

const policyFor = (allowedNetworks: string[]) =>
  makeTargetPolicy({ allowedNetworks, allowedHosts: [], deniedPorts: [] });

const ENDPOINT_ID = newId();

const deliveryTo = (url: string, given: Partial<OutgoingDelivery> = {}) =>
  ({
    eventId: newId(),
    endpointId: ENDPOINT_ID,
    url,
    method: 'POST',
    contentType: 'text/plain',
    body: Buffer.from('hello'),
    headersSealed: null,
    clientCertificateSealed: null,
    caCertificate: null,
    secretsSealed: [],
    timeoutMs: 15_000,
    ...given,
  }) as OutgoingDelivery;

let count = 0;

/** Sends an event to an endpoint of its own. @returns the delivery at its end */
async function deliver(input: { url: string } & Record<string, unknown>) {
  count += 1;
  const type = `proxied-${count}`;
  await bed.createEndpoint({ eventTypes: [type], retryPolicy: { maxRetries: 0 }, ...input });
  const { deliveryIds } = await bed.publish({ type });
  return bed.waitForStatus(deliveryIds[0] as string, 'DELIVERED', 'FAILED');
}

describe('deliveries through a proxy', () => {
  it('to http endpoints go by CONNECT to the address that was checked, with the name in the host header', async () => {
    const { port } = new URL(receiver.url());
    expect((await deliver({ url: `http://localhost:${port}/named` })).status).toBe('DELIVERED');
    const authority = `127.0.0.1:${port}`;
    expect(proxy.connected).toEqual([{ authority, host: authority, authorization: AUTHORIZATION }]);
    expect(receiver.to('/named')).toMatchObject([{ method: 'POST', headers: { host: `localhost:${port}` } }]);
    expect(receiver.to('/named')[0]?.headers).not.toHaveProperty('proxy-authorization');
  });

  it('to https endpoints go by CONNECT to the address, with the name in the handshake and the host header', async () => {
    const secure = await receive();
    expect((await deliver({ url: secure.url('/in', 'localhost') })).status).toBe('DELIVERED');
    expect(proxy.connected).toMatchObject([{ authority: `127.0.0.1:${secure.port}` }]);
    expect(secure.requests).toMatchObject([
      { servername: 'localhost', host: `localhost:${secure.port}`, client: null },
    ]);
  });

  it('show the client certificate of the endpoint, and trust its authority', async () => {
    const secure = await receive();
    const stranger = await issueCertificate({ name: 'stranger', isAuthority: true });
    const url = secure.url('/in', 'localhost');
    expect((await deliver({ url, clientCertificate: client })).status).toBe('DELIVERED');
    expect(secure.requests).toMatchObject([{ client: 'posthorn' }]);
    const refused = await deliver({ url, clientCertificate: client, caCertificate: stranger.certificate });
    expect(refused.attempts[0]?.error).toMatchObject({ code: 'TLS', message: expect.stringContaining('localhost') });
    expect(secure.requests).toHaveLength(1);
  });

  it('use a connection again', async () => {
    const sender = makeSender();
    const secure = await receive();
    for (const url of [receiver.url('/'), secure.url()]) {
      for (let sent = 0; sent < 3; sent += 1) {
        expect((await sender.send(deliveryTo(url))).error).toBeNull();
        await turn();
      }
    }
    expect(proxy.connected).toHaveLength(2);
    expect(new Set(secure.requests.map(({ clientPort }) => clientPort)).size).toBe(1);
  });

  it('leave no connection open when the sender is closed', async () => {
    const sender = makeSender();
    const secure = await receive();
    const stranger = await issueCertificate({ name: 'stranger', isAuthority: true });
    await sender.send(deliveryTo(receiver.url('/')));
    await sender.send(deliveryTo(secure.url(), { caCertificate: stranger.certificate }));
    await sender.close();
    await until(() => secure.openCount === 0, 'its connections to be closed');
  });

  it.each([
    ['a name', 'http://localhost:1/'],
    ['an address', 'http://127.0.0.1:1/'],
    ['an address, over TLS', 'https://127.0.0.1:1/'],
  ])('never ask it for an address that must not be reached: %s', async (_, url) => {
    const sender = makeSender({ targetPolicy: policyFor([]) });
    const { error } = await sender.send(deliveryTo(url));
    expect(error?.code).toBe('BLOCKED_ADDRESS');
    expect(proxy.connected).toEqual([]);
  });

  it('check the certificate of the endpoint for its name', async () => {
    const secure = await receive();
    proxy.routes = { '127.0.0.1:443': secure.port };
    const sender = makeSender();
    const connections = new Connections({
      keyring,
      proxyUrl: `http://127.0.0.1:${proxy.port}`,
      lookup: (_, __, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]),
    });
    cleanUps.push(() => connections.close());
    const agent = connections.agentOf(deliveryTo('https://elsewhere.example/'));
    const request = { path: '/', method: 'POST' as const, headers: {}, body: Buffer.from('x'), timeoutMs: 15_000 };
    await expect(exchange(agent, { ...request, origin: 'https://elsewhere.example' })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
    await expect(exchange(agent, { ...request, origin: 'https://localhost' })).resolves.toMatchObject({ status: 200 });
    expect((await sender.send(deliveryTo('https://localhost/'))).error).toBeNull();
    expect(secure.requests).toHaveLength(2);
  });

  it('try the next address of a name where the proxy can not connect to one', async () => {
    const { port } = new URL(receiver.url());
    proxy.answer = (authority) => (authority.startsWith('127.0.0.1:') ? 200 : 502);
    const connections = new Connections({
      keyring,
      proxyUrl: `http://127.0.0.1:${proxy.port}`,
      lookup: (_, __, callback) =>
        callback(null, [
          { address: '::2', family: 6 },
          { address: '127.0.0.1', family: 4 },
        ]),
    });
    cleanUps.push(() => connections.close());
    const origin = `http://several.example:${port}`;
    const request = {
      origin,
      path: '/',
      method: 'POST' as const,
      headers: {},
      body: Buffer.from('x'),
      timeoutMs: 15_000,
    };
    expect((await exchange(connections.agentOf(deliveryTo(origin)), request)).status).toBe(200);
    expect(proxy.connected.map(({ authority }) => authority)).toEqual([`[::2]:${port}`, `127.0.0.1:${port}`]);
  });
});

describe('a proxy that is reached over TLS', () => {
  it('carries http and https deliveries, with client certificates', async () => {
    const secure = await receive();
    const sender = makeSender({ proxyUrl: `https://${CREDENTIALS}@localhost:${secureProxy.port}` });
    const clientCertificateSealed = keyring.seal(JSON.stringify(client), { ...CERTIFICATE_COLUMN, id: ENDPOINT_ID });
    expect((await sender.send(deliveryTo(receiver.url('/')))).error).toBeNull();
    expect(
      (await sender.send(deliveryTo(secure.url('/in', 'localhost'), { clientCertificateSealed }))).error,
    ).toBeNull();
    expect(secure.requests).toMatchObject([{ client: 'posthorn', servername: 'localhost' }]);
    expect(secureProxy.connected.map(({ authorization }) => authorization)).toEqual([AUTHORIZATION, AUTHORIZATION]);
  });

  it('is not trusted where its certificate is not', async () => {
    setDefaultCACertificates(trusted);
    try {
      const sender = makeSender({ proxyUrl: `https://localhost:${secureProxy.port}` });
      const { error } = await sender.send(deliveryTo(receiver.url('/')));
      expect(error).toMatchObject({
        code: 'CONNECTION',
        message: expect.stringMatching(/^The connection to the proxy/),
      });
      expect(secureProxy.connected).toEqual([]);
    } finally {
      setDefaultCACertificates([...trusted, authority.certificate]);
    }
  });
});

describe('a proxy that does not do it', () => {
  it.each([
    [407, /^The proxy refused its user name and password \(status 407\).*POSTHORN_PROXY_URL/],
    [403, /^The proxy refused to connect to the endpoint \(status 403\)/],
    [502, /^The proxy could not connect to the endpoint \(status 502\)/],
    [302, /^The proxy refused to connect to the endpoint \(status 302\)/],
  ])('with status %d fails the attempt, and is named', async (status, message) => {
    proxy.answer = () => status;
    const secure = await receive();
    for (const url of [receiver.url('/'), secure.url()]) {
      const { error, responseStatus } = await makeSender().send(deliveryTo(url));
      expect(error).toMatchObject({ code: 'CONNECTION', message: expect.stringMatching(message) });
      expect(responseStatus).toBeNull();
    }
    await until(() => proxy.openCount === 0, 'its connections to be closed');
    expect(receiver.requests).toEqual([]);
  });

  it('because it is down fails the attempt, and is named', async () => {
    const sender = makeSender({ proxyUrl: 'http://127.0.0.1:1' });
    const { error } = await sender.send(deliveryTo(receiver.url('/')));
    expect(error).toMatchObject({
      code: 'CONNECTION',
      message: expect.stringMatching(/^The connection to the proxy failed \(ECONNREFUSED\).*POSTHORN_PROXY_URL/),
    });
  });

  it('because its name can not be resolved fails the attempt, and is named', async () => {
    const sender = makeSender({ proxyUrl: 'http://proxy.invalid:3128' });
    const { error } = await sender.send(deliveryTo(receiver.url('/')));
    expect(error).toMatchObject({ code: 'CONNECTION', message: expect.stringMatching(/^The connection to the proxy/) });
  });

  it('because it is no proxy fails the attempt, and is named', async () => {
    receiver.answer = () => ({ status: 200 });
    const sender = makeSender({ proxyUrl: receiver.url() });
    const { error } = await sender.send(deliveryTo(receiver.url('/')));
    expect(error).toMatchObject({ code: 'CONNECTION', message: expect.stringMatching(/^The connection to the proxy/) });
  });

  it('because it never answers ends with the deadline of the attempt', async () => {
    proxy.answer = () => null;
    const { error, durationMs } = await makeSender().send(deliveryTo(receiver.url('/'), { timeoutMs: 300 }));
    expect(error?.code).toBe('TIMEOUT');
    expect(durationMs).toBeGreaterThanOrEqual(298);
    expect(durationMs).toBeLessThan(5_000);
  });
});

describe('the password of the proxy', () => {
  it('is in no attempt and no log line, whether the proxy takes it or not', async () => {
    const secrets = [PASSWORD, encodeURIComponent(PASSWORD), AUTHORIZATION.slice('Basic '.length)];
    const database = await createTestDatabase();
    cleanUps.push(() => database.drop());
    const proxyUrl = `http://${CREDENTIALS}@127.0.0.1:${proxy.port}`;
    const worker = spawnOn(database.url, { POSTHORN_PROXY_URL: proxyUrl, POSTHORN_LOG_LEVEL: 'trace' });
    const url = await waitUntilStarted(worker);
    for (const [status, outcome] of [
      [200, 'DELIVERED'],
      [407, 'FAILED'],
    ] as const) {
      proxy.answer = () => status;
      const type = `answered-${status}`;
      const target = status === 200 ? receiver.url('/') : (await receive()).url();
      const endpoint = { url: target, eventTypes: [type], retryPolicy: { maxRetries: 0 } };
      await bed.createEndpoint(endpoint, { url });
      const { deliveryIds } = await bed.publish({ type }, { url });
      const query = `query ($id: ID!) { delivery(id: $id) { status lastAttempt { requestHeaders error { code message } } } }`;
      const delivery = await until(async () => {
        const found = await bed.ask(query, { id: deliveryIds[0] }, { url });
        return found.status === outcome && found;
      }, 'the attempt');
      for (const secret of secrets) expect(JSON.stringify(delivery)).not.toContain(secret);
    }
    await until(() => findLogLine(worker.stdout(), 'delivery.attempted'), 'the log line');
    for (const secret of secrets) expect(worker.stdout() + worker.stderr()).not.toContain(secret);
  });
});
