import { randomBytes } from 'node:crypto';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { describe, expect, it } from 'vitest';
import {
  isSecret,
  makeSecret,
  SECRET_BYTES_MAX,
  SECRET_BYTES_MIN,
  SECRET_RULE,
  signatureHeaders,
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

describe('makeSecret', () => {
  it('makes secrets that Posthorn takes itself, no two the same', () => {
    const secrets = Array.from({ length: 100 }, makeSecret);
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
    ['another prefix', `whsk_${encoded}`],
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
    expect(SECRET_RULE).toBe('"whsec_" and base64 of 24 to 64 bytes');
  });
});
