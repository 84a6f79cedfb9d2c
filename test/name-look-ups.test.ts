import { describe, expect, it } from 'vitest';
import { Sender } from '../src/deliver/sender.ts';
import { newId } from '../src/domain/ids.ts';
import { Keyring } from '../src/domain/sealing.ts';
import { makeTargetPolicy } from '../src/domain/target-policy.ts';
import type { OutgoingDelivery } from '../src/storage/load-outgoing.ts';
import { useNameServer } from './support/name-server.ts';
import { ENCRYPTION_KEY, until, useTestBed } from './support/posthorn.ts';
import { useProxy } from './support/proxy.ts';
import { useReceiver } from './support/receiver.ts';

const names = useNameServer();
const bed = useTestBed({ role: 'api', allowedNetworks: ['127.0.0.1/32'] });
const receiver = useReceiver();
const proxy = useProxy();

const urlOf = (host: string) => `http://${host}:${new URL(receiver.url()).port}/`;

async function publishTo(type: string, count: number): Promise<string[]> {
  const published = await Promise.all(Array.from({ length: count }, () => bed.publish({ type })));
  return published.flatMap(({ deliveryIds }) => deliveryIds);
}

describe('endpoints whose name server never answers', () => {
  it('delay no endpoint of another name, and their attempts fail as DNS after the limit of a look-up', async () => {
    names.answer = ({ name }) => (name.startsWith('silent') ? 'never' : { addresses: ['127.0.0.1'], ttl: 0 });
    await bed.startProcess({ role: 'worker', dnsServers: [names.address] });
    const policy = { retryPolicy: { maxRetries: 0 }, timeoutMs: 60_000 };
    for (let index = 0; index < 6; index += 1) {
      await bed.createEndpoint({ url: urlOf(`silent-${index}.example.com`), eventTypes: ['silent'], ...policy });
    }
    await bed.createEndpoint({ url: urlOf('healthy.example.com'), eventTypes: ['healthy'], ...policy });
    const silent = await publishTo('silent', 10);
    await until(() => names.questions.filter(({ name }) => name.startsWith('silent')).length >= 12, 'all look-ups');
    // The thread pool has nothing to do with them: files, cryptography and the name of the database are free.
    expect(process.getActiveResourcesInfo()).not.toContain('GetAddrInfoReqWrap');
    const healthy = await publishTo('healthy', 10);
    const delivered = await Promise.all(healthy.map((id) => bed.waitForStatus(id, 'DELIVERED')));
    const failed = await bed.waitForStatus(silent[0] as string, 'FAILED');
    // By the times on record, so that it does not matter how soon the test reads them.
    const lastDelivery = Math.max(...delivered.map(({ deliveredAt }) => Date.parse(deliveredAt as string)));
    expect(lastDelivery).toBeLessThan(Date.parse(failed.deadLetteredAt as string));
    expect(failed.attempts[0]?.error).toEqual({
      code: 'DNS',
      message: expect.stringContaining('its name server did not answer in time'),
    });
  }, 60_000);
});

describe('a proxy with a name', () => {
  it('is resolved by the same servers, and may have an address that endpoints may not have', async () => {
    names.answer = ({ name }) => ({ addresses: [name === 'proxy.example.com' ? '127.0.0.1' : '192.0.2.1'] });
    const { port } = new URL(receiver.url());
    proxy.routes = { [`192.0.2.1:${port}`]: Number(port) };
    const sender = new Sender({
      keyring: new Keyring(ENCRYPTION_KEY),
      proxyUrl: `http://proxy.example.com:${proxy.port}`,
      dnsServers: [names.address],
      targetPolicy: makeTargetPolicy({ allowedNetworks: [], allowedHosts: ['hooks.example.com'], deniedPorts: null }),
      userAgent: 'test',
    });
    const delivery = {
      eventId: newId(),
      method: 'POST',
      contentType: 'text/plain',
      body: Buffer.from('hello'),
      headersSealed: null,
      secretsSealed: [],
      clientCertificateSealed: null,
      caCertificate: null,
      timeoutMs: 10_000,
    };
    const send = (url: string) => sender.send({ ...delivery, url } as unknown as OutgoingDelivery);
    expect(await send(urlOf('hooks.example.com'))).toMatchObject({ responseStatus: 200 });
    expect(proxy.connected).toMatchObject([{ authority: `192.0.2.1:${port}` }]);
    // The name of the proxy is no way around the policy.
    expect((await send(urlOf('proxy.example.com'))).error).toMatchObject({ code: 'BLOCKED_ADDRESS' });
    await sender.close();
  });
});
