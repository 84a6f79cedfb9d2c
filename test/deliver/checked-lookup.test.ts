import type { LookupAddress } from 'node:dns';
import { isIPv6 } from 'node:net';
import { Agent } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { describeFailure } from '../../src/deliver/attempt-error.ts';
import { makeCheckedLookup, type Resolve } from '../../src/deliver/checked-lookup.ts';
import { exchange } from '../../src/deliver/exchange.ts';
import { makeTargetPolicy } from '../../src/domain/target-policy.ts';
import { until } from '../support/posthorn.ts';
import { useReceiver } from '../support/receiver.ts';

const receiver = useReceiver();
const agents: Agent[] = [];

afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.destroy();
});

/** A resolver that gives what a test wants, in turn, and the last one again and again. */
function resolveTo(...answers: string[][]) {
  const asked: string[] = [];
  const resolve: Resolve = (hostname, _, callback) => {
    const addresses = answers[Math.min(asked.length, answers.length - 1)] as string[];
    asked.push(hostname);
    const found: LookupAddress[] = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }));
    setImmediate(() => callback(null, found));
  };
  return { asked, resolve };
}

/** A client whose names are looked up so. */
function makeAgent(resolve: Resolve, allowedHosts: string[] = [], pipelining = 1) {
  const policy = makeTargetPolicy({ allowedNetworks: ['127.0.0.1/32'], allowedHosts, deniedPorts: null });
  const agent = new Agent({ connect: { lookup: makeCheckedLookup(policy, resolve) }, pipelining });
  agents.push(agent);
  return agent;
}

async function sendBy(agent: Agent, host: string, timeoutMs = 5_000) {
  const { origin, href: url } = new URL(`http://${host}:${new URL(receiver.url()).port}/`);
  const request = { origin, path: '/', method: 'POST' as const, headers: {}, body: Buffer.from('x'), timeoutMs };
  return exchange(agent, request).catch((error) => describeFailure(error, { url, timeoutMs }));
}

/** Sends requests by name, with only 127.0.0.1 of loopback allowed. */
function makeClient(answers: string[][], { keepAlive = true, allowedHosts = [] as string[] } = {}) {
  const { asked, resolve } = resolveTo(...answers);
  const agent = makeAgent(resolve, allowedHosts, keepAlive ? 1 : 0);
  return { asked, send: (host = 'hooks.example.com') => sendBy(agent, host) };
}

describe('a name that leads to several addresses', () => {
  it.each([
    ['the only good one comes last', ['10.0.0.1', '169.254.169.254', '::1', '127.0.0.1']],
    ['the only good one comes first', ['127.0.0.1', '10.0.0.1', 'fd00::1']],
    ['the only good one is mapped into IPv6', ['10.0.0.1', '::ffff:127.0.0.1']],
  ])('is reached at those that are allowed: %s', async (_, addresses) => {
    expect(await makeClient([addresses]).send()).toMatchObject({ status: 200 });
    expect(receiver.requests).toHaveLength(1);
  });

  it.each([[['10.0.0.1', '127.0.0.2', '::1']], [['127.0.0.2']], [['64:ff9b::7f00:1']], [['::ffff:127.0.0.2']], [[]]])(
    'is not reached where none is allowed, and the message does not tell them: %j',
    async (addresses) => {
      const error = await makeClient([addresses]).send();
      expect(error).toMatchObject({ code: 'BLOCKED_ADDRESS' });
      expect((error as Error).message).toContain('Deliveries must not reach hooks.example.com');
      expect((error as Error).message).not.toMatch(/127|10\.0|::/);
      expect(receiver.requests).toEqual([]);
    },
  );
});

describe('a name that changes where it leads', () => {
  it('is asked for and checked anew for each connection: to a blocked address, nothing is sent', async () => {
    const { asked, send } = makeClient([['127.0.0.1'], ['127.0.0.2'], ['127.0.0.1']], { keepAlive: false });
    expect(await send()).toMatchObject({ status: 200 });
    expect(await send()).toMatchObject({ code: 'BLOCKED_ADDRESS' });
    expect(await send()).toMatchObject({ status: 200 });
    expect(asked).toHaveLength(3);
    expect(receiver.requests).toHaveLength(2);
  });

  it('is asked for once a connection: what was checked is what is connected to', async () => {
    const { asked, send } = makeClient([['127.0.0.1'], ['169.254.169.254']], { keepAlive: false });
    expect(await send()).toMatchObject({ status: 200 });
    expect(asked).toEqual(['hooks.example.com']);
  });

  it('is not asked for while its connection is kept, which still ends at the address that was checked', async () => {
    const { asked, send } = makeClient([['127.0.0.1'], ['127.0.0.2']]);
    expect(await send()).toMatchObject({ status: 200 });
    await until(() => receiver.requests.length === 1, 'the request');
    await new Promise((resolve) => setImmediate(resolve));
    expect(await send()).toMatchObject({ status: 200 });
    expect(asked).toHaveLength(1);
  });
});

describe('a name that is allowed', () => {
  it('may lead anywhere, and others to the same address may not', async () => {
    const allowedHosts = ['*.example.internal'];
    const { send } = makeClient([['127.0.0.2', '127.0.0.1']], { allowedHosts });
    expect(await send('hooks.example.internal')).toMatchObject({ status: 200 });
    const other = makeClient([['127.0.0.2']], { allowedHosts });
    expect(await other.send('hooks.example.internal')).toMatchObject({ code: 'CONNECTION' });
    expect(await other.send('hooks.example.com')).toMatchObject({ code: 'BLOCKED_ADDRESS' });
  });
});

describe('a look-up', () => {
  it('that does not end is given up at the deadline of the attempt', async () => {
    const error = await sendBy(
      makeAgent(() => {}),
      'hooks.example.com',
      300,
    );
    expect(error).toMatchObject({ code: 'TIMEOUT', message: expect.stringContaining('did not answer within 300 ms') });
  });

  it.each(['ENOTFOUND', 'EAI_AGAIN', 'ESERVFAIL'])('that fails is a fault of the name: %s', async (code) => {
    const fail: Resolve = (_, __, callback) => callback(Object.assign(new Error('No such name.'), { code }), []);
    expect(await sendBy(makeAgent(fail), 'hooks.example.com')).toMatchObject({
      code: 'DNS',
      message: expect.stringMatching(/^The name of hooks\.example\.com:\d+ can't be resolved/),
    });
  });
});
