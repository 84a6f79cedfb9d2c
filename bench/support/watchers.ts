import { once } from 'node:events';
import { WebSocket } from 'ws';
import { ROOT_KEY } from './processes.ts';
import type { WatcherReport, WatcherRequest } from './watching.ts';

/**
 * Many clients of the live feed in one process, each with a WebSocket of its own. It shares the machine with what it
 * measures, so messages are not parsed but searched: every change is counted, and timed by one client of ten.
 */

/** Clients that connect at once. */
const CONNECTING_MAX = 50;
/** One client of so many times what it is told. */
const TIMED_EACH = 10;

/** What a dashboard's list shows of a change. */
const QUERY = `subscription { deliveryChanges { cursor changes { status changedAt
  delivery { id attemptCount endpoint { name } event { type } } attempt { responseStatus durationMs } } } }`;

const CHANGED_AT = '"changedAt":"';
/** Length of `2026-01-31T12:00:00.000Z`. */
const TIME_CHARS = 24;

interface Client {
  socket: WebSocket;
  changes: number;
}

let clients: Client[] = [];
let latenciesMs: number[] = [];

async function open(url: string, environmentId: string, isTimed: boolean): Promise<Client> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const client = { socket, changes: 0 };
  await once(socket, 'open');
  const payload = { authorization: `Bearer ${ROOT_KEY}`, 'x-environment-id': environmentId };
  socket.send(JSON.stringify({ type: 'connection_init', payload }));
  await once(socket, 'message');
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: QUERY } }));
  socket.on('message', (data: Buffer) => read(client, data.toString('latin1'), isTimed));
  return client;
}

function read(client: Client, message: string, isTimed: boolean) {
  if (message.includes('"errors"')) throw new Error(`A client was told ${message.slice(0, 500)}.`);
  const now = Date.now();
  for (let at = message.indexOf(CHANGED_AT); at >= 0; at = message.indexOf(CHANGED_AT, at + TIME_CHARS)) {
    client.changes += 1;
    if (!isTimed) continue;
    const start = at + CHANGED_AT.length;
    latenciesMs.push(now - Date.parse(message.slice(start, start + TIME_CHARS)));
  }
}

async function openAll({ url, environmentId, count }: WatcherRequest & { ask: 'open' }) {
  for (let opened = 0; opened < count; opened += CONNECTING_MAX) {
    const indexes = Array.from({ length: Math.min(CONNECTING_MAX, count - opened) }, (_, index) => opened + index);
    clients.push(...(await Promise.all(indexes.map((index) => open(url, environmentId, index % TIMED_EACH === 0)))));
  }
  return {};
}

async function closeAll() {
  const closed = clients.map(({ socket }) => once(socket, 'close'));
  for (const { socket } of clients) socket.close();
  await Promise.all(closed);
  clients = [];
  return {};
}

function reset() {
  latenciesMs = [];
  for (const client of clients) client.changes = 0;
  return {};
}

const report = (): WatcherReport => ({ changes: clients.map(({ changes }) => changes), latenciesMs });

async function answer(request: WatcherRequest): Promise<object> {
  if (request.ask === 'open') return openAll(request);
  if (request.ask === 'close') return closeAll();
  return request.ask === 'reset' ? reset() : report();
}

process.on('message', async (request: WatcherRequest) => process.send?.(await answer(request)));
process.on('disconnect', () => process.exit());
process.send?.({});
