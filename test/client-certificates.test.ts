import { X509Certificate } from 'node:crypto';
import type { ServerOptions } from 'node:https';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Connections, OWN_AGENTS_MAX } from '../src/deliver/connections.ts';
import { exchange } from '../src/deliver/exchange.ts';
import { Keyring } from '../src/domain/sealing.ts';
import { CERTIFICATE_COLUMN } from '../src/storage/sealed-columns.ts';
import { type IssuedCertificate, issueCertificate } from './support/certificates.ts';
import { ENCRYPTION_KEY, until, useTestBed } from './support/posthorn.ts';
import { TlsReceiver } from './support/tls-receiver.ts';

const bed = useTestBed();

let authority: IssuedCertificate;
let stranger: IssuedCertificate;
let server: IssuedCertificate;
let client: IssuedCertificate;
let otherClient: IssuedCertificate;

beforeAll(async () => {
  authority = await issueCertificate({ name: 'authority', isAuthority: true });
  stranger = await issueCertificate({ name: 'stranger', isAuthority: true });
  server = await issueCertificate({ name: 'localhost', authority });
  client = await issueCertificate({ name: 'posthorn', authority });
  otherClient = await issueCertificate({ name: 'other', authority });
});

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** An https server whose own certificate is of the private authority. It asks for client certificates of the same. */
async function receive(options: ServerOptions = {}): Promise<TlsReceiver> {
  const { certificate: cert, privateKey: key } = server;
  const receiver = new TlsReceiver({
    cert,
    key,
    ca: authority.certificate,
    requestCert: true,
    rejectUnauthorized: false,
    ...options,
  });
  await receiver.start();
  cleanUps.push(() => receiver.stop());
  return receiver;
}

let count = 0;

/** An endpoint that trusts the private authority and gets events of a type of its own. */
async function createTarget(receiver: TlsReceiver, input: Record<string, unknown> = {}) {
  count += 1;
  const type = `target-${count}.happened`;
  const { id } = await bed.createEndpoint({
    url: receiver.url(`/target-${count}`),
    eventTypes: [type],
    retryPolicy: { maxRetries: 0 },
    caCertificate: authority.certificate,
    ...input,
  });
  return { id, type };
}

/** @returns the error of the one attempt that is made; null: it succeeded */
async function deliver({ type }: { type: string }) {
  const { deliveryIds } = await bed.publish({ type });
  const { attempts } = await bed.waitForStatus(deliveryIds[0] as string, 'DELIVERED', 'FAILED');
  return attempts[0]?.error ?? null;
}

const FIELDS = 'clientCertificate { subject fingerprintSha256 expiresAt } caCertificate';

const read = ({ id }: { id: string }) => bed.ask(`query ($id: ID!) { endpoint(id: $id) { ${FIELDS} } }`, { id });

const update = ({ id }: { id: string }, input: Record<string, unknown>) =>
  bed.ask(
    `mutation ($input: UpdateEndpointInput!) { updateEndpoint(input: $input) {
      ... on UpdateEndpointPayload { endpoint { ${FIELDS} } } ... on InvalidInputError { issues { path message } } } }`,
    { input: { endpointId: id, ...input } },
  );

describe('a client certificate', () => {
  it('opens a server that refuses everybody without one', async () => {
    const receiver = await receive({ rejectUnauthorized: true });
    const shown = await createTarget(receiver, { clientCertificate: client });
    expect(await deliver(shown)).toBeNull();
    expect(receiver.requests).toMatchObject([{ client: 'posthorn' }]);
    const bare = await createTarget(receiver);
    expect((await deliver(bare))?.code).toMatch(/^(TLS|CONNECTION)$/);
    expect(receiver.requests).toHaveLength(1);
  });

  it('of an authority that the server does not know is refused by it', async () => {
    const receiver = await receive({ rejectUnauthorized: true });
    const unknown = await issueCertificate({ name: 'unknown', authority: stranger });
    expect(await deliver(await createTarget(receiver, { clientCertificate: unknown }))).not.toBeNull();
    expect(receiver.requests).toEqual([]);
  });

  it('is told of by subject, fingerprint and end, and its private key is never read back', async () => {
    const receiver = await receive();
    const target = await createTarget(receiver, { clientCertificate: client });
    const { fingerprint256, validToDate } = new X509Certificate(client.certificate);
    expect(await read(target)).toEqual({
      clientCertificate: {
        subject: 'CN=posthorn, O=Posthorn tests',
        fingerprintSha256: fingerprint256,
        expiresAt: validToDate.toISOString(),
      },
      caCertificate: `${authority.certificate}\n`,
    });
    const [row] = await bed.database.query<{ row: string; sealed: string }>(
      `select row_to_json(e)::text as row, encode(client_certificate_sealed, 'escape') as sealed from endpoints e
       where client_certificate_sealed is not null order by id desc limit 1`,
    );
    const secret = client.privateKey.split('\n')[1] as string;
    expect(`${row?.row}${row?.sealed}`).toContain('CN=posthorn');
    expect(`${row?.row}${row?.sealed}`).not.toContain(secret);
    expect(`${row?.row}${row?.sealed}`).not.toContain(Buffer.from(secret).toString('hex'));
  });

  it('is replaced and taken away by an update, stays where it is left out, and the next attempt follows it', async () => {
    const receiver = await receive();
    const target = await createTarget(receiver, { clientCertificate: client });
    await deliver(target);
    const changed = await update(target, { clientCertificate: otherClient });
    expect(changed.endpoint.clientCertificate.subject).toBe('CN=other, O=Posthorn tests');
    await deliver(target);
    await update(target, { name: 'renamed' });
    await deliver(target);
    expect((await update(target, { clientCertificate: null })).endpoint.clientCertificate).toBeNull();
    await deliver(target);
    expect(receiver.requests.map((request) => request.client)).toEqual(['posthorn', 'other', 'other', null]);
  });

  it('does not go over the connections of others to the same server, nor they over its', async () => {
    const receiver = await receive();
    const targets = [
      await createTarget(receiver, { clientCertificate: client }),
      await createTarget(receiver, { clientCertificate: otherClient }),
      await createTarget(receiver),
    ];
    for (const target of [...targets, ...targets]) expect(await deliver(target)).toBeNull();
    expect(receiver.requests.map((request) => request.client)).toEqual([
      ...['posthorn', 'other', null],
      ...['posthorn', 'other', null],
    ]);
    const connections = new Map<number | undefined, Set<string | null>>();
    for (const { clientPort, client } of receiver.requests) {
      connections.set(clientPort, (connections.get(clientPort) ?? new Set()).add(client));
    }
    expect([...connections.values()].every((clients) => clients.size === 1)).toBe(true);
  });
});

describe('an authority of its own', () => {
  it('is what the certificate of the endpoint must be of', async () => {
    const receiver = await receive();
    expect(await deliver(await createTarget(receiver))).toBeNull();
    expect(await deliver(await createTarget(receiver, { caCertificate: null }))).toMatchObject({ code: 'TLS' });
    const other = await createTarget(receiver, { caCertificate: stranger.certificate });
    expect(await deliver(other)).toMatchObject({ code: 'TLS' });
    await update(other, { caCertificate: `${stranger.certificate}\n${authority.certificate}` });
    expect(await deliver(other)).toBeNull();
    expect((await update(other, { caCertificate: null })).endpoint.caCertificate).toBeNull();
    expect(await deliver(other)).toMatchObject({ code: 'TLS' });
  });
});

describe('the text of an authority', () => {
  it('is kept without what stands around its certificates', async () => {
    const receiver = await receive();
    const text = `Our own:\0 \ud800\n${authority.certificate.trim()}${stranger.certificate}and no more`;
    const target = await createTarget(receiver, { caCertificate: text });
    expect(await deliver(target)).toBeNull();
    const { caCertificate } = await bed.ask('query ($id: ID!) { endpoint(id: $id) { caCertificate } }', target);
    expect(caCertificate).toMatch(/^(-----BEGIN CERTIFICATE-----\n[\w+/=\n]+-----END CERTIFICATE-----\n){2}$/);
  });
});

describe('a certificate that can not be used is refused, and changes nothing', () => {
  const refusals: [string, () => Promise<Record<string, unknown>>, string[], RegExp][] = [
    [
      'no PEM',
      async () => ({ ...client, certificate: 'certificate' }),
      ['certificate'],
      /^must be a certificate in PEM/,
    ],
    [
      'PEM that holds no certificate',
      async () => ({ ...client, certificate: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' }),
      ['certificate'],
      /^must be a certificate in PEM/,
    ],
    [
      'a private key in the place of the certificate',
      async () => ({ ...client, certificate: client.privateKey }),
      ['certificate'],
      /^must be a certificate in PEM/,
    ],
    ['no key', async () => ({ ...client, privateKey: 'key' }), ['privateKey'], /^must be a private key in PEM/],
    [
      'a certificate in the place of the key',
      async () => ({ ...client, privateKey: client.certificate }),
      ['privateKey'],
      /^must be a private key in PEM/,
    ],
    [
      'the key of another certificate',
      async () => ({ ...client, privateKey: otherClient.privateKey }),
      ['privateKey'],
      /^does not fit the certificate/,
    ],
    [
      'a certificate that has expired',
      () => issueCertificate({ validFrom: new Date('2020-01-01'), expiresAt: new Date('2020-02-01T00:00:00Z') }),
      ['certificate'],
      /^expired at 2020-02-01T00:00:00.000Z/,
    ],
    [
      'text without end',
      async () => ({ ...client, privateKey: 'x'.repeat(32_769) }),
      ['privateKey'],
      /32768 characters at most/,
    ],
  ];

  it.each(refusals)('%s', async (_, make, path, message) => {
    const receiver = await receive();
    const target = await createTarget(receiver, { clientCertificate: client });
    const before = await read(target);
    const { issues } = await update(target, { clientCertificate: await make() });
    expect(issues[0]).toEqual({ path: ['clientCertificate', ...path], message: expect.stringMatching(message) });
    expect(await read(target)).toEqual(before);
  });

  it.each(['', 'authority', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'])(
    'an authority of %j',
    async (caCertificate) => {
      const target = await createTarget(await receive());
      const { issues } = await update(target, { caCertificate });
      expect(issues).toEqual([{ path: ['caCertificate'], message: expect.stringMatching(/certificates in PEM/) }]);
      expect((await read(target)).caCertificate.trim()).toBe(authority.certificate);
    },
  );
});

describe('connections with certificates of their own', () => {
  it('are closed when too many others came since, and requests in flight are not cut off', async () => {
    const receiver = await receive();
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    receiver.gate = opened;
    const keyring = new Keyring(ENCRYPTION_KEY);
    const lookup = () => {
      throw new Error('An address needs no look-up.');
    };
    const connections = new Connections({ keyring, lookup, proxyUrl: null });
    cleanUps.push(() => connections.close());
    const endpointId = '0194a3b0-0000-7000-8000-00000000000a';
    const certificates = { endpointId, url: receiver.url(), caCertificate: authority.certificate };
    const seal = () => keyring.seal(JSON.stringify(client), { ...CERTIFICATE_COLUMN, id: endpointId });
    const agentOf = (sealed: Buffer) => connections.agentOf({ ...certificates, clientCertificateSealed: sealed });
    const first = seal();
    const request = {
      origin: receiver.url().slice(0, -1),
      path: '/',
      method: 'POST' as const,
      headers: {},
      timeoutMs: 15_000,
    };
    const answer = exchange(agentOf(first), { ...request, body: Buffer.from('hello') });
    await until(() => receiver.requests.length === 1, 'the request to be in flight');
    expect(agentOf(first)).toBe(agentOf(first));
    const known = agentOf(first);
    for (let index = 0; index < OWN_AGENTS_MAX; index += 1) agentOf(seal());
    expect(agentOf(first)).not.toBe(known);
    open();
    expect((await answer).status).toBe(200);
    await until(() => receiver.openCount === 0, 'the connection to be closed');
  });
});
