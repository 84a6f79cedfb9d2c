import { randomBytes, webcrypto } from 'node:crypto';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { describe, expect, it } from 'vitest';
import {
  isSecret,
  kindOfSecret,
  makeSecret,
  SECRET_BYTES_MAX,
  SECRET_BYTES_MIN,
  SECRET_RULE,
  signatureHeaders,
  toPublicKey,
  toSigningKey,
} from '../../src/domain/signature.ts';

const secretOf = (bytes: number) => `whsec_${randomBytes(bytes).toString('base64')}`;

interface Verifier {
  verify(payload: string, headers: Record<string, string>): unknown;
}

const VERIFIERS: [string, (secret: string) => Verifier][] = [
  ['standardwebhooks', (secret) => new StandardWebhook(secret)],
  ['svix', (secret) => new SvixWebhook(secret)],
];

const BODY = '{"invoice":"in_1","paid":true,"note":"Grüße 👋"}';

const sign = (secrets: string[], body = BODY, timestamp = new Date()) =>
  signatureHeaders({ keys: secrets.map(toSigningKey), webhookId: 'evt_1', timestamp, body: Buffer.from(body) });

describe.each(VERIFIERS)('a receiver that verifies with the package %s', (_, open) => {
  it.each([SECRET_BYTES_MIN, 25, 26, 32, 48, SECRET_BYTES_MAX])('accepts what a secret of %d bytes signed', (bytes) => {
    const secret = secretOf(bytes);
    expect(() => open(secret).verify(BODY, sign([secret]))).not.toThrow();
  });

  it('accepts what a secret that Posthorn made signed', () => {
    const secret = makeSecret();
    expect(() => open(secret).verify(BODY, sign([secret]))).not.toThrow();
  });

  it('accepts each of several valid secrets, and no other', () => {
    const secrets = [makeSecret(), makeSecret(), makeSecret()];
    const headers = sign(secrets);
    for (const secret of secrets) expect(() => open(secret).verify(BODY, headers)).not.toThrow();
    expect(() => open(makeSecret()).verify(BODY, headers)).toThrow(/No matching signature/);
  });

  it('refuses another body', () => {
    const secret = makeSecret();
    expect(() => open(secret).verify(`${BODY} `, sign([secret]))).toThrow(/No matching signature/);
  });

  it('refuses another event ID', () => {
    const secret = makeSecret();
    const headers = { ...sign([secret]), 'webhook-id': 'evt_2' };
    expect(() => open(secret).verify(BODY, headers)).toThrow(/No matching signature/);
  });

  it('refuses another time', () => {
    const secret = makeSecret();
    const headers = sign([secret]);
    headers['webhook-timestamp'] = String(Number(headers['webhook-timestamp']) + 1);
    expect(() => open(secret).verify(BODY, headers)).toThrow(/No matching signature/);
  });
});

describe('signatureHeaders', () => {
  it("gives the signature of the Standard Webhooks specification's example", () => {
    const headers = signatureHeaders({
      keys: [toSigningKey('whsec_plJ3nmyCDGBKInavdOK15jsl')],
      webhookId: 'msg_loFOjxBNrRLzqYUf',
      timestamp: new Date(1_731_705_121_000),
      body: Buffer.from('{"event_type":"ping","data":{"success":true}}'),
    });
    expect(headers).toEqual({
      'webhook-id': 'msg_loFOjxBNrRLzqYUf',
      'webhook-timestamp': '1731705121',
      'webhook-signature': 'v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=',
    });
  });

  it('counts whole seconds, rounded down', () => {
    expect(sign([makeSecret()], BODY, new Date(1_731_705_121_999))['webhook-timestamp']).toBe('1731705121');
  });

  it('gives one signature for each secret, in their order, joined by spaces', () => {
    const secrets = [makeSecret(), makeSecret()];
    const timestamp = new Date();
    const single = secrets.map((secret) => sign([secret], BODY, timestamp)['webhook-signature']);
    expect(sign(secrets, BODY, timestamp)['webhook-signature']).toBe(single.join(' '));
  });

  it('signs the bytes of a body as they are, also those that are no UTF-8', () => {
    const input = { keys: [toSigningKey(makeSecret())], webhookId: 'evt_1', timestamp: new Date() };
    const signatures = [0xff, 0xfe].map(
      (byte) => signatureHeaders({ ...input, body: Uint8Array.of(byte) })['webhook-signature'],
    );
    expect(signatures[0]).not.toBe(signatures[1]);
  });

  it('signs an empty body', () => {
    const secret = makeSecret();
    expect(() => new StandardWebhook(secret).verify('', sign([secret], ''))).not.toThrow();
  });
});

/** A verifier of `v1a` as the specification has it, with nothing of Posthorn's. */
async function verifyEd25519(publicKey: string, body: string | Uint8Array, headers: Record<string, string>) {
  const { subtle } = webcrypto;
  const raw = Buffer.from(publicKey.slice('whpk_'.length), 'base64');
  const key = await subtle.importKey('raw', raw, 'Ed25519', false, ['verify']);
  const message = Buffer.concat([
    Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.`),
    Buffer.from(body as string),
  ]);
  const signatures = (headers['webhook-signature'] as string).split(' ').filter((text) => text.startsWith('v1a,'));
  const checks = signatures.map((text) => subtle.verify('Ed25519', key, Buffer.from(text.slice(4), 'base64'), message));
  return (await Promise.all(checks)).includes(true);
}

describe('an Ed25519 key', () => {
  it("signs as the specification's own Go library does", () => {
    const headers = signatureHeaders({
      keys: [toSigningKey('whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=')],
      webhookId: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      timestamp: new Date(1_614_265_330_000),
      body: Buffer.from('{"test": 2432232314}'),
    });
    expect(headers['webhook-signature']).toBe(
      'v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==',
    );
  });

  // RFC 8032, section 7.1, test 2.
  const SEED = '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb';
  const PUBLIC = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c';
  const inBase64 = (hex: string) => Buffer.from(hex, 'hex').toString('base64');

  it('gives its public key, whether it comes as 32 bytes or as 64', () => {
    for (const secret of [`whsk_${inBase64(SEED)}`, `whsk_${inBase64(SEED + PUBLIC)}`]) {
      expect(isSecret(secret)).toBe(true);
      expect(toPublicKey(secret)).toBe(`whpk_${inBase64(PUBLIC)}`);
    }
    expect(toPublicKey(makeSecret())).toBeNull();
  });

  it('is refused where the public key behind it is another one', () => {
    expect(isSecret(`whsk_${inBase64(SEED + SEED)}`)).toBe(false);
  });

  it.each([0, 24, 31, 33, 63, 65])('is refused with %d bytes', (bytes) => {
    expect(isSecret(`whsk_${randomBytes(bytes).toString('base64')}`)).toBe(false);
  });

  it.each([
    ['a public key', `whpk_${inBase64(PUBLIC)}`],
    ['no padding', `whsk_${inBase64(SEED).replace('=', '')}`],
    ['a space behind', `whsk_${inBase64(SEED)} `],
  ])('is refused with %s', (_, text) => {
    expect(isSecret(text)).toBe(false);
  });

  it('that Posthorn makes is taken by it, and no two are the same', () => {
    const secrets = Array.from({ length: 20 }, () => makeSecret('ED25519'));
    expect(secrets.filter((secret) => !isSecret(secret) || kindOfSecret(secret) !== 'ED25519')).toEqual([]);
    expect(new Set(secrets).size).toBe(20);
    expect(Buffer.from((secrets[0] as string).slice(5), 'base64')).toHaveLength(32);
  });

  it('is verified by its public key alone, and no other body, ID, time or key is', async () => {
    const secret = makeSecret('ED25519');
    const publicKey = toPublicKey(secret) as string;
    const headers = sign([secret]);
    expect(headers['webhook-signature']).toMatch(/^v1a,[A-Za-z0-9+/]{86}==$/);
    expect(await verifyEd25519(publicKey, BODY, headers)).toBe(true);
    expect(await verifyEd25519(publicKey, `${BODY} `, headers)).toBe(false);
    expect(await verifyEd25519(publicKey, BODY, { ...headers, 'webhook-id': 'evt_2' })).toBe(false);
    expect(await verifyEd25519(publicKey, BODY, { ...headers, 'webhook-timestamp': '1' })).toBe(false);
    expect(await verifyEd25519(toPublicKey(makeSecret('ED25519')) as string, BODY, headers)).toBe(false);
  });

  it('signs beside symmetric secrets: libraries that know only these verify as before', async () => {
    const [symmetric, asymmetric] = [makeSecret(), makeSecret('ED25519')];
    for (const secrets of [
      [symmetric, asymmetric],
      [asymmetric, symmetric],
    ]) {
      const headers = sign(secrets);
      const versions = (headers['webhook-signature'] as string).split(' ').map((text) => text.split(',')[0]);
      expect(versions).toEqual(secrets.map((secret) => (secret === symmetric ? 'v1' : 'v1a')));
      expect(await verifyEd25519(toPublicKey(asymmetric) as string, BODY, headers)).toBe(true);
      for (const [, open] of VERIFIERS) expect(() => open(symmetric).verify(BODY, headers)).not.toThrow();
    }
  });

  it('signs bytes that are no UTF-8, and an empty body', async () => {
    const secret = makeSecret('ED25519');
    const input = { keys: [toSigningKey(secret)], webhookId: 'evt_1', timestamp: new Date() };
    for (const body of [Uint8Array.of(0xff, 0xfe), Uint8Array.of()]) {
      expect(await verifyEd25519(toPublicKey(secret) as string, body, signatureHeaders({ ...input, body }))).toBe(true);
    }
  });
});

describe('makeSecret', () => {
  it('makes secrets that Posthorn takes itself, no two the same', () => {
    const secrets = Array.from({ length: 100 }, () => makeSecret());
    expect(secrets.filter((secret) => !isSecret(secret))).toEqual([]);
    expect(new Set(secrets).size).toBe(100);
  });

  it('makes secrets of 32 bytes', () => {
    expect(Buffer.from(makeSecret().slice('whsec_'.length), 'base64')).toHaveLength(32);
  });
});

describe('isSecret', () => {
  it.each([24, 25, 26, 32, 63, 64])('takes a secret of %d bytes', (bytes) => {
    expect(isSecret(secretOf(bytes))).toBe(true);
  });

  it.each([0, 1, 23, 65, 1_000])('refuses a secret of %d bytes', (bytes) => {
    expect(isSecret(secretOf(bytes))).toBe(false);
  });

  const encoded = Buffer.alloc(32, 0xff).toString('base64');

  it.each([
    ['nothing', ''],
    ['the prefix alone', 'whsec_'],
    ['no prefix', encoded],
    ['another prefix', `whsek_${encoded}`],
    ['a prefix in capitals', `WHSEC_${encoded}`],
    ['base64 without padding', `whsec_${encoded.replace('=', '')}`],
    ['the alphabet of URLs', `whsec_${Buffer.alloc(33, 0xff).toString('base64url')}`],
    ['a space in it', `whsec_${encoded.slice(0, 4)} ${encoded.slice(5)}`],
    ['a line break behind', `whsec_${encoded}\n`],
    ['padding in the middle', `whsec_${'AA=='.repeat(12)}`],
    ['a text that is no base64', `whsec_${'ä'.repeat(44)}`],
  ])('refuses %s', (_, text) => {
    expect(isSecret(text)).toBe(false);
  });

  it('tells its limits in the rule for messages', () => {
    expect(SECRET_RULE).toMatch(/^"whsec_" and base64 of 24 to 64 bytes, or "whsk_" and base64 of .* 32 bytes, or 64 /);
  });
});
