import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Page } from 'playwright-core';
import { readCommandLine } from '../../src/cli/command.ts';
import { readProcessConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { startPosthorn } from '../../src/main.ts';
import { launchBrowser } from '../support/chromium.ts';

// The command that makes the pictures of the dashboard in docs/images/: of a Posthorn of its own, with deliveries that are
// really made, and an hour of statistics behind them that is made up.

readCommandLine({
  usage: 'npm run dashboard:screenshots --',
  help: 'Writes the pictures of the dashboard to docs/images, from a Posthorn with sample traffic.\n\n  npm run dashboard:screenshots\n',
});

const IMAGES_DIR = join(import.meta.dirname, '../../docs/images');
const VIEWPORT = { width: 1_280, height: 860 };
const NARROW = { width: 360, height: 740 };
const TRAFFIC_MS = 25_000;
const HISTORY_MINUTES = 58;

const TYPES = [
  ...['invoice.created', 'invoice.paid', 'payment.succeeded', 'payment.refunded', 'order.created', 'order.shipped'],
  ...['shipment.delivered', 'customer.updated'],
];

/** Endpoints, by what their receivers answer and after how long. */
const ENDPOINTS = [
  { name: 'Billing service', eventTypes: ['invoice.*', 'payment.*'], status: 200, delayMs: 12 },
  { name: 'Warehouse', eventTypes: ['order.*', 'shipment.*'], status: 200, delayMs: 35 },
  { name: 'Analytics', eventTypes: ['*'], status: 202, delayMs: 4 },
  { name: 'CRM sync', eventTypes: ['customer.*', 'order.created'], status: 503, delayMs: 20 },
  { name: 'Partner portal', eventTypes: ['shipment.*'], status: 200, delayMs: 80 },
];

const receiver = createServer((request, response) => {
  const { status, delayMs } = ENDPOINTS[Number(request.url?.slice(1))] ?? { status: 404, delayMs: 0 };
  request.resume().once('end', () => void answer(response, status, delayMs));
}).listen(0, '127.0.0.1');

async function answer(response: ServerResponse, status: number, delayMs: number) {
  await sleep(delayMs * (0.6 + Math.random()));
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(status < 300 ? '{"received":true}' : '{"error":"maintenance","until":"18:00"}');
}

const dataDir = await mkdtemp(join(tmpdir(), 'posthorn-screenshots-'));
const config = readProcessConfig({
  POSTHORN_DATA_DIR: dataDir,
  PORT: '0',
  POSTHORN_LOG_LEVEL: 'warn',
  DATABASE_URL: '',
});
const posthorn = await startPosthorn(config, createLog('warn'));
const key = posthorn.newRootKey as string;

async function ask<T>(query: string, variables: object = {}): Promise<T> {
  const response = await fetch(`${posthorn.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: T; errors?: object[] };
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

async function createEndpoints() {
  const { port } = receiver.address() as AddressInfo;
  const ids: string[] = [];
  for (const [index, { name, eventTypes }] of ENDPOINTS.entries()) {
    const input = { name, eventTypes, url: `http://127.0.0.1:${port}/${index}` };
    const mutation = `mutation ($input: CreateEndpointInput!) { createEndpoint(input: $input) {
      ... on CreateEndpointPayload { endpoint { id } } } }`;
    const { createEndpoint } = await ask<{ createEndpoint: { endpoint: { id: string } } }>(mutation, { input });
    ids.push(createEndpoint.endpoint.id);
  }
  return ids;
}

function makeEvent(number: number) {
  const type = TYPES[Math.floor(Math.random() * TYPES.length)] as string;
  const [kind = ''] = type.split('.');
  const items = [
    { sku: 'A-17', quantity: 2 },
    { sku: 'B-4', quantity: 1 },
  ];
  const customer = { id: `cus_${number % 40}`, name: 'Example Ltd', vip: number % 3 === 0 };
  return {
    type,
    sourceKey: `${kind}-${1_000 + number}`,
    payload: { id: `${kind}_${1_000 + number}`, amount: 129.9, currency: 'EUR', customer, items, note: null },
  };
}

async function publishFor(ms: number) {
  const end = Date.now() + ms;
  for (let number = 0; Date.now() < end; number += 1) {
    await ask(`mutation ($input: PublishEventInput!) { publishEvent(input: $input) { __typename } }`, {
      input: makeEvent(number),
    });
    await sleep(60 + Math.random() * 90);
  }
}

/** Repeats the minute that was counted last for each minute before, more or less of it. */
async function makeUpHistory() {
  const client = new pg.Client({ connectionString: posthorn.databaseUrl });
  await client.connect();
  await client.query(
    `insert into delivery_stats
     select environment_id, endpoint_id, 60, starts_at - m * interval '1 minute', round(published * f), round(delivered * f),
       round(failed * f), round(retried * f), round(attempts_succeeded * f), round(attempts_failed * f),
       array(select round(d * f)::int from unnest(durations) with ordinality as x(d, n) order by n)
     from (select distinct on (environment_id, endpoint_id) * from delivery_stats where resolution_seconds = 60
           order by environment_id, endpoint_id, published desc) s,
       generate_series(1, $1::int) m, lateral (select 1.6 + 0.9 * sin(m / 7.0) + 0.5 * sin(m * 1.7) as f) g
     on conflict do nothing`,
    [HISTORY_MINUTES],
  );
  await client.end();
}

interface Shot {
  name: string;
  path: string;
  /** What must be there before the picture is taken. */
  wanted: string;
}

async function findShots(endpointIds: string[]): Promise<Shot[]> {
  const { deliveries } = await ask<{ deliveries: { edges: { node: { id: string; event: { id: string } } }[] } }>(
    `query ($id: ID!) { deliveries(last: 3, filter: { endpointId: $id, statuses: [RETRYING, FAILED] }) {
      edges { node { id event { id } } } } }`,
    { id: endpointIds[3] },
  );
  const { id, event } = deliveries.edges.at(-1)?.node ?? { id: '', event: { id: '' } };
  return [
    { name: 'overview', path: '/?window=hour', wanted: 'failures in a row' },
    { name: 'deliveries', path: '/deliveries', wanted: 'Billing service' },
    { name: 'delivery', path: `/deliveries/${id}`, wanted: 'Answer 503' },
    { name: 'events', path: '/events', wanted: 'invoice' },
    { name: 'event', path: `/events/${event.id}`, wanted: 'Analytics' },
    { name: 'publish', path: '/events?publish', wanted: 'Payload' },
    { name: 'endpoints', path: '/endpoints', wanted: 'Partner portal' },
    { name: 'endpoint', path: `/endpoints/${endpointIds[0]}`, wanted: 'Health now' },
    { name: 'endpoint-settings', path: `/endpoints/${endpointIds[0]}?tab=settings`, wanted: 'Event types' },
    { name: 'endpoint-signing', path: `/endpoints/${endpointIds[0]}?tab=signing`, wanted: 'Verify signatures' },
    { name: 'settings', path: '/settings', wanted: 'Environments' },
  ];
}

/** Prints how long a page takes to show something. */
async function reportPaint(page: Page) {
  await page.goto('/');
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
  process.stdout.write(`First paint of the overview after ${Math.round(paint ?? Number.NaN)} ms.\n`);
}

async function takeAll(page: Page, shots: Shot[], look: string) {
  for (const { name, path, wanted } of shots) {
    await page.goto(path);
    await page.getByText(wanted).first().waitFor();
    await page.waitForLoadState('networkidle').catch(() => {});
    await page.screenshot({ path: join(IMAGES_DIR, `${name}-${look}.png`) });
    process.stdout.write(`docs/images/${name}-${look}.png\n`);
  }
}

try {
  await mkdir(IMAGES_DIR, { recursive: true });
  const endpointIds = await createEndpoints();
  process.stdout.write(`Publishing events for ${TRAFFIC_MS / 1_000} s …\n`);
  await publishFor(TRAFFIC_MS);
  await makeUpHistory();
  const shots = await findShots(endpointIds);
  const browser = await launchBrowser();
  const traffic = publishFor(150_000);
  for (const [look, options] of [
    ['light', { viewport: VIEWPORT, colorScheme: 'light' }],
    ['dark', { viewport: VIEWPORT, colorScheme: 'dark' }],
    ['narrow', { viewport: NARROW, colorScheme: 'light' }],
  ] as const) {
    const context = await browser.newContext({ ...options, baseURL: posthorn.url, reducedMotion: 'reduce' });
    const page = await context.newPage();
    await page.goto('/');
    await page.getByLabel('API key').fill(key);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    if (look === 'light') await reportPaint(page);
    await takeAll(page, look === 'narrow' ? shots.slice(0, 3) : shots, look);
    await context.close();
  }
  await browser.close();
  void traffic.catch(() => {});
} finally {
  receiver.closeAllConnections();
  receiver.close();
  await posthorn.stop();
  await rm(dataDir, { recursive: true, force: true });
  process.exit();
}
