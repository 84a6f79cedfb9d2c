import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { describeFailure } from '../../src/deliver/attempt-error.ts';
import { Sender, type SendResult } from '../../src/deliver/sender.ts';
import { newId } from '../../src/domain/ids.ts';
import { Keyring } from '../../src/domain/sealing.ts';
import { makeTargetPolicy } from '../../src/domain/target-policy.ts';
import type { OutgoingDelivery } from '../../src/storage/load-outgoing.ts';
import {
  CLIENT_ONLY_CERTIFICATE,
  ELSEWHERE_CERTIFICATE,
  EXPIRED_CERTIFICATE,
  HOSTILE_KEY,
  LOCALHOST_CERTIFICATE,
  LOCALHOST_KEY,
  SHA1_CERTIFICATE,
  TEST_AUTHORITY,
  WEAK_CERTIFICATE,
  WEAK_KEY,
} from '../support/hostile-certificates.ts';
import { ENCRYPTION_KEY } from '../support/posthorn.ts';

let sender: Sender;
const cleanUps: (() => unknown)[] = [];

beforeAll(() => {
  sender = new Sender({
    keyring: new Keyring(ENCRYPTION_KEY),
    proxyUrl: null,
    targetPolicy: makeTargetPolicy({
      allowedNetworks: ['127.0.0.0/8', '::1/128'],
      allowedHosts: [],
      deniedPorts: null,
    }),
    userAgent: 'test',
  });
});

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

afterAll(() => sender.close());

/** A TLS server that answers every request with 200. Its own key may be as weak as it likes. */
async function listen(options: TlsOptions) {
  const servernames: (string | false | null)[] = [];
  const hosts: (string | undefined)[] = [];
  const server = createServer({ ciphers: 'DEFAULT@SECLEVEL=0', ...options }, (socket) => {
    servernames.push((socket as unknown as { servername: string | false | null }).servername);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      hosts.push(/^host: (.*)$/im.exec(data.toString('latin1'))?.[1]);
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    });
  });
  server.on('tlsClientError', () => {}).listen(0);
  await once(server, 'listening');
  cleanUps.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, servernames, hosts };
}

const sendTo = (url: string, caCertificate: string | null): Promise<SendResult> =>
  sender.send({
    eventId: newId(),
    url,
    method: 'POST',
    contentType: 'text/plain',
    body: Buffer.from('hello'),
    headersSealed: null,
    secretsSealed: [],
    clientCertificateSealed: null,
    caCertificate,
    timeoutMs: 10_000,
  } as unknown as OutgoingDelivery);

describe('a TLS handshake that fails', () => {
  it.each<[string, TlsOptions, string | null, RegExp]>([
    ['has a key that is too weak', { cert: WEAK_CERTIFICATE, key: WEAK_KEY }, WEAK_CERTIFICATE, /key too (weak|small)/],
    [
      'is signed with SHA-1',
      { cert: SHA1_CERTIFICATE, key: LOCALHOST_KEY },
      TEST_AUTHORITY,
      /digest algorithm too weak/,
    ],
    [
      'is for clients',
      { cert: CLIENT_ONLY_CERTIFICATE, key: LOCALHOST_KEY },
      TEST_AUTHORITY,
      /unsuitable certificate purpose/,
    ],
    [
      'is of an unknown authority',
      { cert: LOCALHOST_CERTIFICATE, key: LOCALHOST_KEY },
      null,
      /unable to verify the first certificate/,
    ],
    ['is self-signed', { cert: ELSEWHERE_CERTIFICATE, key: HOSTILE_KEY }, null, /self-signed certificate/],
    ['has expired', { cert: EXPIRED_CERTIFICATE, key: HOSTILE_KEY }, EXPIRED_CERTIFICATE, /certificate has expired/],
    [
      'is for another host',
      { cert: ELSEWHERE_CERTIFICATE, key: HOSTILE_KEY },
      ELSEWHERE_CERTIFICATE,
      /does not match certificate's altnames/,
    ],
  ])(
    'because the certificate %s is recorded as TLS, with the reason in words',
    async (_, options, authority, reason) => {
      const { port } = await listen(options);
      const { error } = await sendTo(`https://127.0.0.1:${port}/`, authority);
      expect(error).toMatchObject({ code: 'TLS', message: expect.stringMatching(reason) });
      expect(error?.message).toMatch(/^No secure connection to 127\.0\.0\.1:\d+: [^\n]+\.$/);
    },
  );

  it.each<[string, TlsOptions, RegExp]>([
    ['the versions of TLS have none in common', { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }, /protocol version/],
    [
      'there is no cipher in common',
      { ciphers: 'NULL-SHA256:@SECLEVEL=0', maxVersion: 'TLSv1.2' },
      /handshake failure/,
    ],
    [
      'the server wants a client certificate',
      { requestCert: true, ca: TEST_AUTHORITY, maxVersion: 'TLSv1.2' },
      /handshake failure/,
    ],
    [
      'a server of TLS 1.3 wants a client certificate',
      { requestCert: true, ca: TEST_AUTHORITY, minVersion: 'TLSv1.3' },
      /certificate required/,
    ],
  ])('because %s is recorded as TLS, with the reason in words', async (_, options, reason) => {
    const { port } = await listen({ cert: LOCALHOST_CERTIFICATE, key: LOCALHOST_KEY, ...options });
    const { error } = await sendTo(`https://127.0.0.1:${port}/`, TEST_AUTHORITY);
    expect(error).toMatchObject({ code: 'TLS', message: expect.stringMatching(reason) });
  });

  /** What Node makes of OpenSSL's results of a verification, and of errors in its queue. */
  const CODES = [
    ...[
      'UNABLE_TO_GET_ISSUER_CERT',
      'UNABLE_TO_GET_CRL',
      'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
      'UNABLE_TO_DECRYPT_CRL_SIGNATURE',
    ],
    ...['UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY', 'CERT_SIGNATURE_FAILURE', 'CRL_SIGNATURE_FAILURE', 'CERT_NOT_YET_VALID'],
    ...['CERT_HAS_EXPIRED', 'CRL_NOT_YET_VALID', 'CRL_HAS_EXPIRED', 'ERROR_IN_CERT_NOT_BEFORE_FIELD', 'OUT_OF_MEM'],
    ...['ERROR_IN_CERT_NOT_AFTER_FIELD', 'ERROR_IN_CRL_LAST_UPDATE_FIELD', 'ERROR_IN_CRL_NEXT_UPDATE_FIELD'],
    ...[
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'CERT_CHAIN_TOO_LONG',
    ],
    ...['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_REVOKED', 'INVALID_CA', 'PATH_LENGTH_EXCEEDED', 'INVALID_PURPOSE'],
    ...[
      'CERT_UNTRUSTED',
      'CERT_REJECTED',
      'HOSTNAME_MISMATCH',
      'UNSPECIFIED',
      'ERR_TLS_CERT_ALTNAME_INVALID',
      'EPROTO',
    ],
    ...[
      'ERR_SSL_EE_KEY_TOO_SMALL',
      'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
      'ERR_OSSL_ASN1_WRONG_TAG',
      'ERR_TLS_HANDSHAKE_TIMEOUT',
    ],
  ];

  it.each(CODES)('with code %s is recorded as TLS', (code) => {
    const cause = Object.assign(new Error('80:error:0A', { cause: undefined }), { code, reason: 'the reason' });
    expect(describeFailure(cause, { url: 'https://example.com/', timeoutMs: 1 })).toMatchObject({ code: 'TLS' });
  });

  it('has a message of bounded length, however many names the certificate has', () => {
    const cause = Object.assign(new Error(`DNS:${'x'.repeat(100_000)}`), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    expect(describeFailure(cause, { url: 'https://example.com/', timeoutMs: 1 }).message).toHaveLength(1_024);
  });
});

describe('a host with a dot at its end', () => {
  it('is named without it in the handshake and in the check of the certificate, and with it in the host header', async () => {
    const { port, servernames, hosts } = await listen({ cert: LOCALHOST_CERTIFICATE, key: LOCALHOST_KEY });
    expect(await sendTo(`https://localhost.:${port}/`, TEST_AUTHORITY)).toMatchObject({
      responseStatus: 200,
      error: null,
    });
    expect(servernames).toEqual(['localhost']);
    expect(hosts).toEqual([`localhost.:${port}`]);
  });
});
