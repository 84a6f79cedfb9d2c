import { describe, expect, it } from 'vitest';
import { Courier } from '../../src/deliver/courier.ts';
import { LookupError } from '../../src/deliver/name-resolver.ts';
import { findOwnFault, OwnFaultError } from '../../src/deliver/own-fault.ts';
import { ProxyError } from '../../src/deliver/proxy-connector.ts';
import type { Recorder, RecorderEntry } from '../../src/deliver/recorder.ts';
import type { Sender, SendResult } from '../../src/deliver/sender.ts';
import { SocketGate } from '../../src/deliver/socket-gate.ts';
import { newDelivery } from '../../src/domain/delivery.ts';
import { newId } from '../../src/domain/ids.ts';
import { createLog } from '../../src/log.ts';
import type { OutgoingDelivery } from '../../src/storage/load-outgoing.ts';

const failure = (code: string, more: object = {}) => Object.assign(new Error(code), { code, ...more });
const CALM = { isLast: false, stalledMs: 0, durationMs: 10_000 };

describe('a failure that is not the endpoint’s', () => {
  it.each([
    ['a shortage of descriptors', failure('EMFILE', { syscall: 'connect' })],
    ['a shortage of descriptors on the whole machine', failure('ENFILE')],
    ['a shortage of buffers', failure('ENOBUFS')],
    ['a shortage of memory', failure('ENOMEM')],
    ['a shortage of local ports', failure('EADDRNOTAVAIL', { address: '192.0.2.1' })],
    ['one of them at the first of several addresses', new AggregateError([failure('EMFILE'), failure('ECONNREFUSED')])],
    ['one of them behind the proxy’s error', new ProxyError('The connection failed.', { cause: failure('EMFILE') })],
    ['name servers that can not be reached', new LookupError('ECONNREFUSED', 'example.com')],
  ])('is %s', (_, error) => {
    expect(findOwnFault(error, CALM)).toBeInstanceOf(OwnFaultError);
  });

  it('is a connection that was not made in time while the process did nothing', () => {
    const error = failure('UND_ERR_CONNECT_TIMEOUT');
    expect(findOwnFault(error, { ...CALM, stalledMs: 8_000 })).toBeInstanceOf(OwnFaultError);
    expect(findOwnFault(error, { ...CALM, stalledMs: 2_000 })).toBeNull();
  });

  it.each([
    ['a refused connection', failure('ECONNREFUSED')],
    ['a shortage of buffers while the request is written', failure('ENOBUFS', { syscall: 'write' })],
    ['a shortage of memory while the answer is read', failure('ENOMEM', { syscall: 'read' })],
    ['an IPv6 address on a machine without IPv6', failure('EADDRNOTAVAIL', { address: '2001:db8::1' })],
    ['a name that does not exist', new LookupError('ENOTFOUND', 'example.com')],
    ['a name whose server is silent', new LookupError('ETIMEOUT', 'example.com')],
    ['no error at all', undefined],
  ])('is not %s', (_, error) => {
    expect(findOwnFault(error, CALM)).toBeNull();
  });

  it('lasts no longer than its repetitions if it is that no name server can be reached', () => {
    expect(findOwnFault(new LookupError('ECONNREFUSED', 'example.com'), { ...CALM, isLast: true })).toBeNull();
  });

  it('is not recorded: the attempt is repeated until it could be made', async () => {
    const outcomes = [new OwnFaultError('EMFILE'), new OwnFaultError('EMFILE'), { ...SUCCESS, responseStatus: 204 }];
    const recorded: RecorderEntry[] = [];
    const courier = makeCourier(outcomes, recorded);
    await courier.attempt(makeDelivery(), null);
    expect(recorded).toMatchObject([{ transition: { attempt: { status: 'SUCCEEDED', responseStatus: 204 } } }]);
  });
});

it('an attempt that failed because the process stalled is not repeated before its delivery is claimed again', async () => {
  const recorded: RecorderEntry[] = [];
  const outcomes = [new OwnFaultError('This process did nothing.', { isStall: true }), SUCCESS];
  const courier = makeCourier(outcomes, recorded);
  await expect(courier.attempt(makeDelivery(), null)).rejects.toBeInstanceOf(OwnFaultError);
  expect(outcomes).toEqual([SUCCESS]);
  expect(recorded).toEqual([]);
});

const SUCCESS: SendResult = {
  startedAt: new Date(),
  durationMs: 1,
  requestHeaders: {},
  responseStatus: 200,
  responseHeaders: {},
  responseBody: '',
  error: null,
  notBefore: null,
  isGone: false,
};

function makeCourier(outcomes: (SendResult | Error)[], recorded: RecorderEntry[]) {
  const send = async () => {
    const outcome = outcomes.shift() as SendResult | Error;
    if (outcome instanceof Error) throw outcome;
    return outcome;
  };
  const record = async (entry: RecorderEntry) => {
    recorded.push(entry);
    return null;
  };
  const [sender, recorder] = [{ send } as unknown as Sender, { record } as unknown as Recorder];
  return new Courier({ sender, recorder, log: createLog('silent') });
}

const makeDelivery = () =>
  ({
    ...newDelivery(3),
    id: newId(),
    endpointId: newId(),
    environmentId: newId(),
    eventId: newId(),
    url: 'http://127.0.0.1/',
    method: 'POST',
    body: Buffer.alloc(0),
    endpointStatus: 'ACTIVE',
    maxRetries: 3,
    delaysSeconds: [1],
    jitter: 0,
  }) as unknown as OutgoingDelivery;

describe('a gate for few sockets', () => {
  it('lets no more attempts through than there are, none of an endpoint over its share, and each in its turn', async () => {
    const gate = new SocketGate(16);
    const entered: string[] = [];
    const ends: (() => void)[] = [];
    const pass = (endpointId: string) =>
      gate.pass(endpointId, () => {
        entered.push(endpointId);
        return new Promise<void>((resolve) => ends.push(resolve));
      });
    const busy = Array.from({ length: 5 }, () => pass('busy'));
    const others = Array.from({ length: 20 }, (_, index) => pass(`other-${index}`));
    expect(entered).toEqual(['busy', 'busy', ...Array.from({ length: 14 }, (_, index) => `other-${index}`)]);
    ends[0]?.();
    await busy[0];
    await Promise.resolve();
    expect(entered.slice(16)).toEqual(['busy']);
    ends[2]?.();
    await others[0];
    await Promise.resolve();
    expect(entered.slice(17)).toEqual(['other-14']);
    const all = Promise.all([...busy, ...others]);
    while (ends.length > 0) {
      for (const end of ends.splice(0)) end();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await all;
    expect(entered).toHaveLength(25);
  });
});
