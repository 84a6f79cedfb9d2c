import { beforeEach, describe, expect, it } from 'vitest';
import { verifyWebhook } from '../../examples/signatures/verify.ts';
import { useBrowser } from '../support/browser.ts';
import { HAS_BROWSER } from '../support/chromium.ts';
import { until, useTestBed } from '../support/posthorn.ts';
import { useReceiver } from '../support/receiver.ts';

describe.runIf(HAS_BROWSER)('endpoints in the dashboard', () => {
  const bed = useTestBed();
  const receiver = useReceiver();
  const { openPage } = useBrowser(() => bed.url);

  let key: string;
  beforeEach(async () => {
    ({ key } = await bed.createTenant('acme'));
  });

  const create = (name: string) =>
    bed.createEndpoint({ url: receiver.url(`/${name}`), name, eventTypes: ['thing.*'] }, { key });
  const read = (id: string) =>
    bed.ask(
      `query ($id: ID!) { endpoint(id: $id) { status name url timeoutMs rateLimitPerSecond eventTypes headers
        retryPolicy { maxRetries delaysSeconds } signingKeys { id } } }`,
      { id },
      { key },
    );

  it('are created with a form, which shows the secret once, and sign with it', async () => {
    const page = await openPage({ key, path: '/endpoints' });
    await page.getByText('No endpoints yet').waitFor();
    await page.getByRole('button', { name: 'Create an endpoint' }).last().click();
    const form = page.getByRole('dialog');
    await form.getByLabel('URL').fill('ftp://example.com');
    await form.getByRole('button', { name: 'Create' }).click();
    await form.getByText(/http/).last().waitFor();
    await form.getByLabel('URL').fill(receiver.url('/made'));
    await form.getByLabel('Name').fill('Made here');
    await form.getByRole('button', { name: 'Create' }).click();
    const secret = await page.getByTestId('secret').innerText();
    await page.getByRole('button', { name: 'Go to the endpoint' }).click();
    await page.getByRole('heading', { name: 'Made here' }).waitFor();
    await bed.publish({ type: 'any.type' }, { key });
    const [request] = await until(() => receiver.requests.length > 0 && receiver.requests, 'a delivery');
    verifyWebhook(secret, request?.headers ?? {}, request?.body ?? Buffer.of());
    await page.goto('/endpoints');
    await page.getByRole('row', { name: /Made here/ }).waitFor();
    expect(await page.getByText(secret).count()).toBe(0);
  });

  it('are changed: what was not touched stays, headers too', async () => {
    const { id } = await bed.createEndpoint(
      { url: receiver.url('/old'), name: 'old', eventTypes: ['a.*'], headers: { 'x-token': 'kept' } },
      { key },
    );
    const page = await openPage({ key, path: `/endpoints/${id}?tab=settings` });
    await page.getByLabel('Name').fill('new');
    await page.getByRole('button', { name: 'Method, timeout, rate, headers' }).click();
    await page.getByLabel('Timeout, ms').fill('2500');
    await page.getByLabel('Attempts a second').fill('0.5');
    await page.getByRole('button', { name: 'Retries' }).click();
    await page.getByLabel('Delays').fill('5, soon');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Write seconds separated by commas').waitFor();
    await page.getByLabel('Delays').fill('7, 70');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved.').waitFor();
    expect(await read(id)).toMatchObject({
      ...{ name: 'new', timeoutMs: 2_500, rateLimitPerSecond: 0.5, eventTypes: ['a.*'], headers: { 'x-token': null } },
      retryPolicy: { maxRetries: 9, delaysSeconds: [7, 70] },
    });
  });

  it('are paused and resumed, disabled and enabled, and say what that means', async () => {
    const { id } = await create('switched');
    const page = await openPage({ key, path: `/endpoints/${id}` });
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('Deliveries are held, and go out when it is resumed.').waitFor();
    await bed.publish({ type: 'thing.happened' }, { key });
    await page.getByRole('button', { name: 'Resume' }).click();
    await until(() => receiver.requests.length === 1, 'what was held');
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('menuitem', { name: 'Disable…' }).click();
    await page.getByRole('button', { name: 'Disable', exact: true }).click();
    await page.getByText('What is published meanwhile is skipped').waitFor();
    await page.getByRole('button', { name: 'Enable' }).click();
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    expect((await read(id)).status).toBe('ACTIVE');
  });

  it('are deleted only when their name was typed', async () => {
    const { id } = await create('doomed');
    const page = await openPage({ key, path: `/endpoints/${id}` });
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('menuitem', { name: 'Delete…' }).click();
    const remove = page.getByRole('button', { name: 'Delete', exact: true });
    expect(await remove.isDisabled()).toBe(true);
    await page.getByLabel('Type “doomed” to confirm').fill('doomed');
    await remove.click();
    await page.getByText('No endpoints yet').waitFor();
    expect(await read(id)).toBeNull();
  });

  it('rotate their secret with an overlap, in which both sign', async () => {
    const { id, secret } = await create('rotated');
    const page = await openPage({ key, path: `/endpoints/${id}?tab=signing` });
    await page.getByRole('button', { name: 'Rotate the secret' }).click();
    await page.getByLabel('Hours that the old one signs on').fill('2');
    await page.getByRole('button', { name: 'Rotate', exact: true }).click();
    const newSecret = await page.getByTestId('secret').innerText();
    await page.getByRole('button', { name: 'Done' }).click();
    await page.getByText('from now on').waitFor();
    await page.getByText(/^until /).waitFor();
    await bed.publish({ type: 'thing.happened' }, { key });
    const [request] = await until(() => receiver.requests.length > 0 && receiver.requests, 'a delivery');
    for (const one of [secret, newSecret]) verifyWebhook(one, request?.headers ?? {}, request?.body ?? Buffer.of());
  });

  it('show code that verifies signatures, in several languages', async () => {
    const { id } = await create('verified');
    const page = await openPage({ key, path: `/endpoints/${id}?tab=signing` });
    for (const [name, text] of [
      ['Node', 'export function verifyWebhook('],
      ['Python', 'def verify('],
      ['Go', 'func Verify('],
    ] as const) {
      await page.getByRole('tab', { name, exact: true }).click();
      await page.getByText(text).waitFor();
    }
  });

  it('get a test event that goes to them alone', async () => {
    const { id } = await create('tested');
    await create('other');
    const page = await openPage({ key, path: `/endpoints/${id}` });
    await page.getByRole('button', { name: 'Send a test event' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Publish' }).click();
    await page.getByText('Published to 1 endpoint.').waitFor();
    await page.getByText('Delivered', { exact: true }).first().waitFor();
    expect(receiver.requests.map(({ path }) => path)).toEqual(['/tested']);
  });

  it('show how they fare, as it changes', async () => {
    const { id } = await create('failing');
    receiver.answer = () => ({ status: 500 });
    const page = await openPage({ key, path: `/endpoints/${id}` });
    await page.getByRole('heading', { name: 'Health now' }).waitFor();
    for (let count = 0; count < 6; count += 1) await bed.publish({ type: 'thing.happened' }, { key });
    await page.getByText('Failing', { exact: true }).waitFor();
    await page.goto('/');
    await page.getByText(/failures in a row/).waitFor();
  });
});
