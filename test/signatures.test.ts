import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { verifyWebhook } from '../examples/signatures/verify.ts';
import { makeSecret, toPublicKey } from '../src/domain/signature.ts';
import { SECRETS_MAX } from '../src/endpoints/endpoints.ts';
import { until, useTestBed } from './support/posthorn.ts';
import { type ReceivedRequest, useReceiver } from './support/receiver.ts';

const bed = useTestBed();
const receiver = useReceiver();

const EXAMPLES = join(import.meta.dirname, '../examples');
const run = promisify(execFile);

interface SigningKey {
  id: string;
  kind: string;
  publicKey: string | null;
  createdAt: string;
  expiresAt: string | null;
}

let count = 0;

/** An endpoint that gets events of a type of its own. */
async function createTarget(input: Record<string, unknown> = {}) {
  count += 1;
  const path = `/target-${count}`;
  const type = `target-${count}.happened`;
  const made = await bed.createEndpoint({ url: receiver.url(path), eventTypes: [type], ...input });
  return { ...made, path, type };
}

type Target = Awaited<ReturnType<typeof createTarget>>;

async function readKeys({ id }: Pick<Target, 'id'>): Promise<SigningKey[]> {
  const query = 'query ($id: ID!) { endpoint(id: $id) { signingKeys { id kind publicKey createdAt expiresAt } } }';
  return (await bed.ask(query, { id })).signingKeys;
}

const readPublicKey = async (target: Target) => (await readKeys(target))[0]?.publicKey as string;

const rotate = ({ id }: Target, input: Record<string, unknown> = {}) =>
  bed.ask(
    `mutation ($input: RotateEndpointSecretInput!) { rotateEndpointSecret(input: $input) {
      ... on RotateEndpointSecretPayload { secret } ... on InvalidInputError { issues { path message } } } }`,
    { input: { endpointId: id, ...input } },
  );

/** Sends an event. @returns the request as it arrived */
async function send(target: Target, input: Record<string, unknown> = {}): Promise<ReceivedRequest> {
  const before = receiver.to(target.path).length;
  const { deliveryIds } = await bed.publish({ type: target.type, ...input });
  await bed.waitForStatus(deliveryIds[0] as string, 'DELIVERED');
  return receiver.to(target.path)[before] as ReceivedRequest;
}

const versionsOf = ({ headers }: ReceivedRequest) =>
  String(headers['webhook-signature'])
    .split(' ')
    .map((text) => text.split(',')[0]);

const verify = (key: string, { headers, body }: ReceivedRequest) => verifyWebhook(key, headers, body);

describe('an endpoint with an Ed25519 key', () => {
  it('is verified by a consumer that has its public key and nothing else', async () => {
    const target = await createTarget({ signatureKind: 'ED25519' });
    expect(target.secret).toMatch(/^whsk_[A-Za-z0-9+/]{43}=$/);
    const [key] = await readKeys(target);
    expect(key).toMatchObject({ kind: 'ED25519', publicKey: expect.stringMatching(/^whpk_/), expiresAt: null });
    const request = await send(target, { body: '{"text":"☕ é 漢字"}' });
    expect(versionsOf(request)).toEqual(['v1a']);
    expect(() => verify(key?.publicKey as string, request)).not.toThrow();
    const other = await readPublicKey(await createTarget({ signatureKind: 'ED25519' }));
    expect(() => verify(other, request)).toThrow('No signature fits');
  });

  it('signs with the private key that it was given, whose public key is the one the giver knows', async () => {
    // RFC 8032, section 7.1, test 1.
    const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
    const publicKey = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex');
    for (const bytes of [seed, Buffer.concat([seed, publicKey])]) {
      const secret = `whsk_${bytes.toString('base64')}`;
      const target = await createTarget({ secret });
      expect(target.secret).toBe(secret);
      expect(await readPublicKey(target)).toBe(`whpk_${publicKey.toString('base64')}`);
      verify(`whpk_${publicKey.toString('base64')}`, await send(target));
    }
  });

  it('keeps its private key out of the database in plain', async () => {
    const target = await createTarget({ signatureKind: 'ED25519' });
    const rows = await bed.database.query(
      'select row_to_json(s)::text as row, encode(sealed, $1) from endpoint_secrets s',
      ['escape'],
    );
    expect(JSON.stringify(rows)).toContain(await readPublicKey(target));
    expect(JSON.stringify(rows)).not.toContain(target.secret.slice('whsk_'.length));
  });
});

describe('rotation', () => {
  it.each([
    ['HMAC_SHA256', 'ED25519', ['v1a', 'v1']],
    ['ED25519', 'HMAC_SHA256', ['v1', 'v1a']],
  ])('from %s to %s signs with both while they overlap, newest first', async (from, to, versions) => {
    const target = await createTarget({ signatureKind: from });
    const { secret } = await rotate(target, { signatureKind: to });
    const [current, old, ...more] = (await readKeys(target)) as [SigningKey, SigningKey];
    expect(more).toEqual([]);
    expect([current.kind, current.expiresAt, old.kind]).toEqual([to, null, from]);
    expect(Date.parse(old.expiresAt as string)).toBeGreaterThan(Date.now());
    const request = await send(target);
    expect(versionsOf(request)).toEqual(versions);
    verify(current.publicKey ?? secret, request);
    verify(old.publicKey ?? target.secret, request);
    const symmetric = from === 'HMAC_SHA256' ? target.secret : secret;
    new Webhook(symmetric).verify(request.body.toString(), request.headers as Record<string, string>);
  });

  it('without a kind keeps the kind that there is', async () => {
    const target = await createTarget({ signatureKind: 'ED25519' });
    expect((await rotate(target)).secret).toMatch(/^whsk_/);
    const symmetric = await createTarget();
    expect((await rotate(symmetric)).secret).toMatch(/^whsec_/);
  });

  it('without overlap leaves the new key alone', async () => {
    const target = await createTarget();
    await rotate(target, { signatureKind: 'ED25519', overlapSeconds: 0 });
    expect((await readKeys(target)).map(({ kind }) => kind)).toEqual(['ED25519']);
    expect(versionsOf(await send(target))).toEqual(['v1a']);
  });

  it('whose overlap is over leaves the new key alone, also among the keys that are told', async () => {
    const target = await createTarget();
    await rotate(target, { signatureKind: 'ED25519', overlapSeconds: 1 });
    await until(async () => (await readKeys(target)).length === 1, 'the old secret to expire');
    expect(versionsOf(await send(target))).toEqual(['v1a']);
  });

  it(`leaves ${SECRETS_MAX} secrets at most, of both kinds, also where many come at once, and says when there is room`, async () => {
    const target = await createTarget();
    const kinds = Array.from({ length: SECRETS_MAX + 5 }, (_, index) => (index % 2 ? 'ED25519' : 'HMAC_SHA256'));
    const answers = await Promise.all(kinds.map((signatureKind) => rotate(target, { signatureKind })));
    expect(answers.filter(({ secret }) => secret)).toHaveLength(SECRETS_MAX - 1);
    const keys = await readKeys(target);
    expect(keys).toHaveLength(SECRETS_MAX);
    const first = keys.map(({ expiresAt }) => expiresAt ?? '9').toSorted()[0];
    const [issue] = (await rotate(target)).issues;
    expect(issue.path).toEqual(['endpointId']);
    expect(issue.message).toMatch(/^has 10 secrets that sign already.*Wait until .*overlapSeconds 0/);
    expect(issue.message).toContain(first);
    expect(versionsOf(await send(target))).toHaveLength(SECRETS_MAX);
    expect((await rotate(target, { overlapSeconds: 0 })).secret).toBeDefined();
    expect(await readKeys(target)).toHaveLength(SECRETS_MAX);
  });
});

describe('signing keys', () => {
  it('are there by their ID in their own environment, and nowhere else', async () => {
    const own = await bed.createTenant('owner');
    const other = await bed.createTenant('stranger');
    const { id } = await bed.createEndpoint({ url: receiver.url('/own'), eventTypes: ['own'] }, { key: own.key });
    const query = 'query ($id: ID!) { endpoint(id: $id) { signingKeys { id } } }';
    const [key] = (await bed.ask(query, { id }, { key: own.key })).signingKeys;
    const node = 'query ($id: ID!) { node(id: $id) { ... on SigningKey { id kind } } }';
    expect(await bed.ask(node, key, { key: own.key })).toEqual({ ...key, kind: 'HMAC_SHA256' });
    expect(await bed.ask(node, key, { key: other.key })).toBeNull();
  });
});

describe('examples', () => {
  const LANGUAGES: [string, string, string[]][] = [
    ['Python', 'python3', [join(EXAMPLES, 'signatures/verify.py')]],
    ['Go', 'go', ['run', join(EXAMPLES, 'signatures/verify.go')]],
  ];
  const isThere = (command: string) =>
    command === 'go'
      ? spawnSync('go', ['version']).status === 0
      : spawnSync(command, ['-c', 'import cryptography']).status === 0;

  /** @returns whether the program takes the request */
  async function takes([command, args]: [string, string[]], key: string, { headers, body }: ReceivedRequest) {
    const given = ['id', 'timestamp', 'signature'].map((name) => String(headers[`webhook-${name}`]));
    const child = run(command, [...args, key, ...given], { timeout: 90_000 });
    child.child.stdin?.end(body);
    return child.then(
      () => true,
      () => false,
    );
  }

  for (const [language, command, args] of LANGUAGES) {
    it.skipIf(!isThere(command))(
      `verify a delivery in ${language}, by secret and by public key`,
      async () => {
        const target = await createTarget();
        await rotate(target, { signatureKind: 'ED25519' });
        const publicKey = await readPublicKey(target);
        const request = await send(target);
        const forged = { ...request, body: Buffer.from('{}') };
        for (const key of [target.secret, publicKey]) {
          expect(await takes([command, args], key, request)).toBe(true);
          expect(await takes([command, args], key, forged)).toBe(false);
        }
      },
      120_000,
    );
  }

  it('verify a delivery in Node, and refuse another body, an old one and one without signature', async () => {
    const target = await createTarget();
    await rotate(target, { signatureKind: 'ED25519' });
    const request = await send(target);
    for (const key of [target.secret, await readPublicKey(target)]) {
      expect(() => verify(key, request)).not.toThrow();
      expect(() => verify(key, { ...request, body: Buffer.from('{}') })).toThrow('No signature fits');
      const old = { ...request.headers, 'webhook-timestamp': String(Math.floor(Date.now() / 1_000) - 301) };
      expect(() => verify(key, { ...request, headers: old })).toThrow('timestamp');
      expect(() => verify(key, { ...request, headers: {} })).toThrow('timestamp');
      const unsigned = { ...request.headers, 'webhook-signature': 'v1, v1a, v2,x v1a' };
      expect(() => verify(key, { ...request, headers: unsigned })).toThrow('No signature fits');
    }
  });

  it('of a server, as docs/SIGNATURES.md has it, takes a delivery and refuses a forged one', async () => {
    const secret = makeSecret('ED25519');
    const docs = await readFile(join(EXAMPLES, '../docs/SIGNATURES.md'), 'utf8');
    const code = /```ts\n(import \{ createServer.*?)```/s.exec(docs)?.[1] as string;
    const folder = await mkdtemp(join(tmpdir(), 'posthorn-example-'));
    const file = join(folder, 'server.mjs');
    const tellPort = '.listen(0, function () { console.log(this.address().port) })';
    await writeFile(
      file,
      code
        .replace("'./verify.ts'", JSON.stringify(join(EXAMPLES, 'signatures/verify.ts')))
        .replace('whpk_…', toPublicKey(secret) as string)
        .replace('.listen(3000)', tellPort),
    );
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [port] = await once(child.stdout, 'data');
      const url = `http://127.0.0.1:${String(port).trim()}/`;
      await bed.createEndpoint({ url, eventTypes: ['documented'], secret });
      const { deliveryIds } = await bed.publish({ type: 'documented' });
      const { attempts } = await bed.waitForStatus(deliveryIds[0] as string, 'DELIVERED');
      expect(attempts[0]?.responseStatus).toBe(204);
      expect((await fetch(url, { method: 'POST', body: '{}' })).status).toBe(401);
    } finally {
      child.kill();
      await once(child, 'exit');
      await rm(folder, { recursive: true });
    }
  });

  it('of a receiver tells whether signatures of both kinds verify', async () => {
    const target = await createTarget();
    await rotate(target, { signatureKind: 'ED25519' });
    const request = await send(target);
    for (const key of [target.secret, await readPublicKey(target)]) {
      const args = [join(EXAMPLES, 'receiver.ts'), '--port', '0', '--secret', key];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
      const exited = once(child, 'exit');
      try {
        const url = await until(() => /ready: (http:\S+)/.exec(output)?.[1], 'the receiver to listen');
        const headers = request.headers as Record<string, string>;
        const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature'];
        const given = Object.fromEntries(names.map((name) => [name, headers[name] as string]));
        await fetch(url, { method: 'POST', headers: given, body: request.body.toString() });
        await fetch(url, { method: 'POST', headers: given, body: 'other' });
        await until(() => /#1 .* signature verifies .*#2 .* SIGNATURE DOES NOT VERIFY/s.test(output), 'its word');
      } finally {
        child.kill();
        await exited;
      }
    }
  });
});
