import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RESPONSE_BODY_BYTES_KEPT } from '../../src/deliver/response-body.ts';
import { Sender, type SendResult } from '../../src/deliver/sender.ts';
import { newId } from '../../src/domain/ids.ts';
import { Keyring } from '../../src/domain/sealing.ts';
import { makeTargetPolicy, type TargetRules } from '../../src/domain/target-policy.ts';
import type { OutgoingDelivery } from '../../src/storage/load-outgoing.ts';
import { ELSEWHERE_CERTIFICATE, EXPIRED_CERTIFICATE } from '../support/hostile-certificates.ts';
import { BEHAVIOURS, type BehaviourName, type HostileTarget, useHostileServers } from '../support/hostile-server.ts';
import { ENCRYPTION_KEY, until } from '../support/posthorn.ts';

/** The deadline of attempts that are to reach it. */
const SOON_MS = 500;
/** That of all others: far off, so that one that waits for it fails the test. */
const FAR_MS = 10_000;
/** What an attempt may take past its deadline, or without reaching one, on a machine that does other things too. */
const MARGIN_MS = 5_000;
/** What the kernel takes of a sender whom nobody reads: its buffers on both sides. */
const KERNEL_BYTES_MAX = 16_000_000;
const MEMORY_MARGIN_BYTES = 32_000_000;

const hostile = useHostileServers();
const trusted = getCACertificates('default');
let sender: Sender;

beforeAll(() => {
  setDefaultCACertificates([...trusted, EXPIRED_CERTIFICATE, ELSEWHERE_CERTIFICATE]);
  sender = makeSender();
});

afterEach(async () => {
  // None is left of timers that an attempt began.
  await until(() => !process.getActiveResourcesInfo().includes('Timeout'), 'all timers to be over').catch((error) => {
    throw new Error(`${error.message} There are: ${process.getActiveResourcesInfo().join(', ')}`);
  });
});

afterAll(async () => {
  setDefaultCACertificates(trusted);
  await sender.close();
});

const makeSender = (rules: Partial<TargetRules> = {}) =>
  new Sender({
    keyring: new Keyring(ENCRYPTION_KEY),
    proxyUrl: null,
    targetPolicy: makeTargetPolicy({ allowedNetworks: ['127.0.0.0/8'], allowedHosts: [], deniedPorts: null, ...rules }),
    userAgent: 'test',
  });

const sendTo = (url: string, timeoutMs: number, by = sender): Promise<SendResult> =>
  by.send({
    eventId: newId(),
    url,
    method: 'POST',
    contentType: 'text/plain',
    body: Buffer.from('hello'),
    headersSealed: null,
    secretsSealed: [],
    timeoutMs,
  } as unknown as OutgoingDelivery);

interface Expected {
  /** What the attempt fails with; null: its status is that of a success. */
  code: string | null;
  /** @default what the code says */
  message?: RegExp;
  /** @default null where there is a code, else 200 */
  status?: number | null;
  body?: string;
  /** The attempt lasts until its deadline. */
  isAtDeadline?: boolean;
  /** The connection may be used again. */
  isKept?: boolean;
  scheme?: 'https';
}

const notHttp = (why: RegExp | string): Expected => ({
  code: 'INVALID_RESPONSE',
  message: new RegExp(`^127\\.0\\.0\\.1:\\d+ answered with something that is not HTTP \\(.*${String(why)}.*\\)\\.$`),
});
const tooMuch: Expected = { code: 'INVALID_RESPONSE', message: /^The endpoint sent 512 KiB without a whole answer\.$/ };
const longHead: Expected = { code: 'INVALID_RESPONSE', message: /sent more than 16 KiB of headers\.$/ };
const inDoubt: Expected = {
  code: 'INVALID_RESPONSE',
  message: /sent a head that is not HTTP \(its length is in doubt\)/,
};
const late: Expected = { code: 'TIMEOUT', message: /did not answer within 500 ms\.$/, isAtDeadline: true };
const closed: Expected = { code: 'CONNECTION', message: /closed the connection before it answered\.$/ };
const brokenOff: Expected = {
  code: 'CONNECTION',
  message: /broke the connection off before it answered \((ECONNRESET|EPIPE)\)\.$/,
};
const soFar: Expected = { code: null, body: 'so far' };
const cut: Expected = { code: null, body: 'x'.repeat(RESPONSE_BODY_BYTES_KEPT) };

/** What comes of an attempt, for everything that an endpoint may do. */
const EXPECTED: Record<BehaviourName, Expected> = {
  'hangs up at once': { code: 'CONNECTION', message: /(closed the connection|broke the connection off) before it/ },
  'resets at once': brokenOff,
  'hangs up after the request': closed,
  'resets after the request': brokenOff,
  'never answers': late,
  'hangs up in the head': closed,
  'speaks garbage for TLS': { code: 'TLS', message: /it does not speak TLS on this port\.$/, scheme: 'https' },
  'speaks plain HTTP': { code: 'TLS', message: /it does not speak TLS on this port\.$/, scheme: 'https' },
  'hangs up in the handshake': { ...brokenOff, scheme: 'https' },
  'never finishes the handshake': { ...late, scheme: 'https' },
  'has an expired certificate': { code: 'TLS', message: /: certificate has expired\.$/ },
  'has a certificate of another host': { code: 'TLS', message: /: Hostname\/IP does not match certificate's altnames/ },
  'drips the head': late,
  'sends endless headers': longHead,
  'sends one endless header': longHead,
  'sends an endless status line': tooMuch,
  'sends empty lines for ever': tooMuch,
  'sends 17 KiB of headers': longHead,
  'sends 2,000 headers': { code: null, isKept: true },
  'greets as a mail server': notHttp('Expected HTTP/'),
  'greets as SSH': notHttp('Expected HTTP/'),
  'sends random bytes': notHttp('Expected HTTP/'),
  'answers as HTTP/0.9': notHttp('Expected HTTP/'),
  'answers as HTTP/2': notHttp('Expected HTTP/'),
  'answers with status 000': {
    code: 'INVALID_RESPONSE',
    message: /^The endpoint answered with status 0, which HTTP lacks/,
  },
  'answers with status 999': { code: 'HTTP_STATUS', status: 999, message: /answered with status 999\.$/ },
  'answers with status 20': notHttp('status'),
  'answers with status 2000': notHttp('status'),
  'sends a header without a colon': notHttp('header'),
  'sends NUL in a header': notHttp('header'),
  'sends two lengths': inDoubt,
  'sends a length and chunks': inDoubt,
  'sends a negative length': notHttp('Content-Length'),
  'sends a length past all numbers': inDoubt,
  'sends 103 for ever': tooMuch,
  'sends 20 early hints': { code: null, body: 'ok', isKept: true },
  'sends 100 Continue unasked': { code: null, body: 'ok', isKept: true },
  'sends 100 Continue twice': { code: 'INVALID_RESPONSE', message: /answered 100 Continue again and again\.$/ },
  'changes the protocol': { code: 'INVALID_RESPONSE', message: /changed to a protocol that nobody asked for\.$/ },
  'sends odd headers': { code: null, body: 'ok', isKept: true },
  'asks to be kept': { code: null, body: 'ok', isKept: true },
  'redirects to metadata': { code: 'HTTP_STATUS', status: 307, message: /answered with status 307\.$/, isKept: true },
  'drips the body': { code: null, isAtDeadline: true },
  'stalls in the body': { ...soFar, isAtDeadline: true },
  'sends a body for ever': cut,
  'sends chunks for ever': cut,
  'sends an endless chunk extension': { code: null, body: '' },
  'sends endless trailers': { code: null, body: 'ok' },
  'sends 200 MB': cut,
  'sends a gzip bomb': { code: null, isKept: true },
  'sends a body that is no UTF-8': { code: null, body: 'a\ufffd\ufffd\ufffd\ufffd(b', isKept: true },
  'breaks off a chunk': soFar,
  'sends a chunk of no length': soFar,
  'sends less than announced': soFar,
  'sends more than announced': soFar,
  'sends a second answer unasked': soFar,
  'sends a body with 204': { code: null, status: 204, body: '' },
};

const memory = () => {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** Sends to a server that behaves so, and checks everything that holds of all of them. */
async function attempt(name: BehaviourName): Promise<{ target: HostileTarget; result: SendResult }> {
  const { scheme, isAtDeadline, isKept } = EXPECTED[name];
  const target = await hostile.listen(name, scheme);
  const timeoutMs = isAtDeadline ? SOON_MS : FAR_MS;
  const before = memory();
  const result = await sendTo(target.url, timeoutMs);
  expect(memory() - before).toBeLessThan(MEMORY_MARGIN_BYTES);
  if (isAtDeadline) expect(result.durationMs).toBeGreaterThanOrEqual(SOON_MS - 5);
  expect(result.durationMs).toBeLessThan(MARGIN_MS + (isAtDeadline ? SOON_MS : 0));
  if (!isKept) await until(() => target.open() === 0, 'the connection to be closed');
  expect(target.made()).toBeLessThanOrEqual(1);
  expect(target.bytesSent()).toBeLessThan(KERNEL_BYTES_MAX);
  return { target, result };
}

describe('an endpoint that', () => {
  it.each(Object.keys(BEHAVIOURS) as BehaviourName[])('%s', async (name) => {
    const { code, message, status = code === null ? 200 : null, body } = EXPECTED[name];
    const { result } = await attempt(name);
    expect([result.error?.code ?? null, result.responseStatus]).toEqual([code, status]);
    if (message) expect(result.error?.message).toMatch(message);
    if (body !== undefined) expect(result.responseBody).toBe(body);
    expect(Buffer.byteLength(result.responseBody ?? '')).toBeLessThanOrEqual(RESPONSE_BODY_BYTES_KEPT);
    expect(result.responseBody ?? '').not.toContain('\0');
  });

  it('sends odd headers has them kept as they came, bytes as Latin-1', async () => {
    const { result } = await attempt('sends odd headers');
    expect(Object.entries(result.responseHeaders ?? {})).toEqual([
      ['x-latin', 'caf\xe9 \x80\xff'],
      ['x-twice', ['1', '2']],
      ['__proto__', ['odd', 'again']],
      ['constructor', 'odd'],
      ['x-empty', ''],
      ['x-tab', 'a\tb'],
      ['content-length', '2'],
    ]);
  });

  it('sends a gzip bomb has its bytes kept as they are: nothing is unpacked', async () => {
    const { result } = await attempt('sends a gzip bomb');
    expect(result.responseHeaders).toMatchObject({ 'content-encoding': 'gzip' });
    expect(result.responseBody?.startsWith('\x1f\ufffd\x08')).toBe(true);
  });

  it('redirects is not followed', async () => {
    const { target, result } = await attempt('redirects to metadata');
    expect(result.responseHeaders).toMatchObject({ location: 'http://169.254.169.254/latest/meta-data/' });
    expect(target.made()).toBe(1);
  });

  it('sends a second answer unasked does not answer the next request with it', async () => {
    const { target } = await attempt('sends a second answer unasked');
    const next = await sendTo(target.url, FAR_MS);
    expect([next.responseBody, next.responseHeaders]).toEqual(['so far', { 'content-length': '6' }]);
    expect(target.made()).toBe(2);
  });

  it('sends 100 Continue unasked may do so on a connection that is used again', async () => {
    const { target } = await attempt('sends 100 Continue unasked');
    for (let time = 0; time < 3; time += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(await sendTo(target.url, FAR_MS)).toMatchObject({ responseStatus: 200, responseBody: 'ok' });
    }
    expect(target.made()).toBe(1);
  });

  it('is fine is answered by as much as it likes over many requests on one connection', async () => {
    const target = await hostile.listen('sends a gzip bomb');
    for (let time = 0; time < 20; time += 1) {
      expect(await sendTo(target.url, FAR_MS)).toMatchObject({ error: null, responseStatus: 200 });
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([target.made(), target.bytesSent() > 1_000_000]).toEqual([1, true]);
  });

  it('asks for its connection to be kept for long is let go after a few seconds all the same', async () => {
    const target = await hostile.listen('asks to be kept');
    expect(await sendTo(target.url, FAR_MS)).toMatchObject({ responseStatus: 200 });
    expect(target.open()).toBe(1);
    await until(() => target.open() === 0, 'the idle connection to be closed');
  });
});

describe('what a sender remembers of a URL', () => {
  it('is not what another one may do, nor what the same one said of another URL', async () => {
    const { url } = await hostile.listen('sends 20 early hints');
    const [allowed, port] = [new URL(url), Number(new URL(url).port)];
    const strict = makeSender({ deniedPorts: [port] });
    for (let time = 0; time < 2; time += 1) {
      expect(await sendTo(url, FAR_MS)).toMatchObject({ responseStatus: 200 });
      expect((await sendTo(url, FAR_MS, strict)).error).toMatchObject({ code: 'BLOCKED_ADDRESS' });
      expect((await sendTo(url.replace('127.0.0.1', '[::1]'), FAR_MS)).error).toMatchObject({
        code: 'BLOCKED_ADDRESS',
      });
      expect((await sendTo(`http://127.0.0.1:22${allowed.pathname}`, FAR_MS)).error).toMatchObject({
        code: 'BLOCKED_ADDRESS',
        message: expect.stringContaining('port 22 (SSH)'),
      });
    }
    await strict.close();
  });
});

describe('many hostile endpoints at once', () => {
  it('do not touch an attempt to one that is well, and leave nothing behind', async () => {
    const names = (Object.keys(BEHAVIOURS) as BehaviourName[]).filter((name) => !EXPECTED[name].isKept);
    const targets = await Promise.all(names.map((name) => hostile.listen(name, EXPECTED[name].scheme)));
    const well = await hostile.listen('sends 20 early hints');
    const results = targets.map(({ url }) => sendTo(url, SOON_MS));
    expect(await sendTo(well.url, FAR_MS)).toMatchObject({ responseStatus: 200 });
    const outcomes = await Promise.all(results);
    for (const [index, { durationMs }] of outcomes.entries()) {
      expect([names[index], durationMs < SOON_MS + MARGIN_MS]).toEqual([names[index], true]);
    }
    await until(() => targets.every(({ open }) => open() === 0), 'all connections to be closed');
  });
});
