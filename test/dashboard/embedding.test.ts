import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { useBrowser } from '../support/browser.ts';
import { HAS_BROWSER } from '../support/chromium.ts';
import { useTestBed } from '../support/posthorn.ts';
import { useReceiver } from '../support/receiver.ts';

const MAKE_TOKEN = `mutation ($id: ID!) { createBrowserToken(input: { endpointId: $id }) {
  ... on CreateBrowserTokenPayload { token } } }`;

describe.runIf(HAS_BROWSER)('a view in a frame of another product', () => {
  const bed = useTestBed();
  const receiver = useReceiver();
  const { openPage } = useBrowser(() => bed.url);

  const products: Server[] = [];
  afterEach(() => {
    for (const product of products.splice(0)) product.close();
  });

  /** A page of another origin. Its script may be told tokens to give to the frame. */
  async function serveProduct() {
    const product = { url: '', frame: '', tokens: [] as string[] };
    const server = createServer((_, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(`<!doctype html><title>Product</title>
        <iframe title="Webhooks" width="1000" height="700" src="${product.frame}"></iframe>
        <script>
          const tokens = ${JSON.stringify(product.tokens)};
          addEventListener('message', ({ data, source }) => {
            if (data.type === 'posthorn.token-needed' && tokens.length > 0)
              source.postMessage({ type: 'posthorn.token', token: tokens.shift() }, '*');
          });
        </script>`);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    products.push(server);
    product.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return product;
  }

  async function createOwn() {
    const own = await bed.createEndpoint({ url: receiver.url('/own'), name: 'own', eventTypes: ['own.*'] });
    await bed.createEndpoint({ url: receiver.url('/foreign'), name: 'foreign', eventTypes: ['foreign.*'] });
    const { deliveryIds } = await bed.publish({ type: 'own.thing' });
    await bed.publish({ type: 'foreign.thing' });
    await bed.waitForStatus(deliveryIds[0] as string, 'DELIVERED');
    const { token } = await bed.ask(MAKE_TOKEN, { id: own.id });
    return { ...own, token: token as string };
  }

  it('shows one endpoint to who has its token, live, and nothing else of the environment', async () => {
    const product = await serveProduct();
    const posthorn = await bed.startProcess({ embedOrigins: [product.url] });
    const { token } = await createOwn();
    product.frame = `${posthorn.url}/embed/deliveries#token=${token}`;
    const page = await openPage({ key: null, path: product.url });
    const frame = page.frameLocator('iframe');
    await frame.getByRole('link', { name: 'own.thing' }).first().waitFor();
    expect(await frame.getByText('foreign').count()).toBe(0);
    expect(await frame.getByRole('link', { name: 'Settings' }).count()).toBe(0);
    expect(await frame.getByRole('button', { name: 'Retry' }).count()).toBe(0);
    await bed.publish({ type: 'own.other' });
    await frame.getByRole('button', { name: '1 new delivery' }).waitFor();
    await frame.getByRole('link', { name: 'Endpoints' }).click();
    await frame.getByRole('heading', { name: 'own', exact: true }).waitFor();
  });

  it('shows all endpoints of an organization to who has its token, and changes none', async () => {
    const product = await serveProduct();
    const posthorn = await bed.startProcess({ embedOrigins: [product.url] });
    const tenant = await bed.createTenant('customer');
    await bed.createEndpoint({ url: receiver.url('/theirs'), name: 'theirs' }, tenant);
    const { token } = await bed.ask(
      `mutation ($id: ID!) { createBrowserToken(input: { organizationId: $id }) {
        ... on CreateBrowserTokenPayload { token } } }`,
      { id: tenant.organizationId },
    );
    product.frame = `${posthorn.url}/embed/endpoints#token=${token}`;
    const page = await openPage({ key: null, path: product.url });
    const frame = page.frameLocator('iframe');
    await frame.getByRole('link', { name: 'theirs' }).click();
    await frame.getByRole('heading', { name: 'theirs' }).waitFor();
    expect(await frame.getByRole('button', { name: /Pause|More|Send a test event/ }).count()).toBe(0);
    expect(await frame.getByRole('tab', { name: 'Settings' }).count()).toBe(0);
  });

  it('asks the page around it for a token, and goes on with it', async () => {
    const product = await serveProduct();
    const posthorn = await bed.startProcess({ embedOrigins: [product.url] });
    const { token } = await createOwn();
    product.frame = `${posthorn.url}/embed/deliveries#token=pht_of.yester.day`;
    product.tokens = [token];
    const page = await openPage({ key: null, path: product.url });
    await page.frameLocator('iframe').getByRole('link', { name: 'own.thing' }).first().waitFor();
  });

  it('that gets the token of another endpoint shows that one, and nothing more of the first', async () => {
    const product = await serveProduct();
    const posthorn = await bed.startProcess({ embedOrigins: [product.url] });
    const one = await createOwn();
    const two = await bed.createEndpoint({ url: receiver.url('/two'), name: 'two', eventTypes: ['two.*'] });
    const { token } = await bed.ask(MAKE_TOKEN, { id: two.id });
    product.frame = `${posthorn.url}/embed/deliveries#token=${one.token}`;
    const page = await openPage({ key: null, path: product.url });
    const frame = page.frameLocator('iframe');
    await frame.getByRole('link', { name: 'own.thing' }).first().waitFor();
    await frame.getByTestId('connection').getByText('Live').waitFor();
    await page.evaluate((token) => {
      const { contentWindow } = document.querySelector('iframe') as HTMLIFrameElement;
      contentWindow?.postMessage({ type: 'posthorn.token', token }, '*');
    }, token);
    await frame.getByText('No deliveries').waitFor();
    await bed.publish({ type: 'own.secret' });
    await bed.publish({ type: 'two.thing' });
    await frame.getByRole('link', { name: 'two.thing' }).waitFor();
    expect(await frame.getByText('own.').count()).toBe(0);
  });

  it('is not shown where the operator allows no origin, nor to other origins', async () => {
    const other = await bed.startProcess({ embedOrigins: ['https://product.example.com'] });
    for (const [url, allowed] of [
      [bed.url, "frame-ancestors 'none'"],
      [other.url, 'frame-ancestors https://product.example.com'],
    ] as const) {
      const { headers } = await fetch(`${url}/embed`, { headers: { accept: 'text/html' } });
      expect(headers.get('content-security-policy')).toContain(allowed);
      const page = await fetch(`${url}/deliveries`, { headers: { accept: 'text/html' } });
      expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
      expect(page.headers.get('x-frame-options')).toBe('DENY');
    }
  });
});
