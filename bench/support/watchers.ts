import { ROOT_KEY } from './processes.ts';
import type { WatcherReport, WatcherRequest } from './watching.ts';
import { type BareWebsocket, openWebsocket } from './websocket.ts';

/**
 * Many clients of the live feed in one process, each with a WebSocket of its own. It shares the machine with what it
 * measures, so messages are not parsed but searched, once where they are the same: every change is counted, and timed by
 * one client of ten.
 */

/** Clients that connect at once. */
const CONNECTING_MAX = 50;
/** One client of so many times what it is told. */
const TIMED_EACH = 10;

/** What a dashboard's list shows of a change. */
const QUERY = `subscription { deliveryChanges { cursor changes { status changedAt
  delivery { id attemptCount endpoint { name } event { type } } attempt { responseStatus durationMs } } } }`;

const ACK = '"connection_ack"';
const ERRORS = '"errors"';
const CHANGED_AT = Buffer.from('"changedAt":"');
/** Length of `2026-01-31T12:00:00.000Z`. */
const TIME_CHARS = 24;

interface Client {
  changes: number;
  isTimed: boolean;
}

let clients: Client[] = [];
let sockets: BareWebsocket[] = [];
let latenciesMs: number[] = [];

async function open(url: string, environmentId: string, client: Client): Promise<BareWebsocket> {
  const acknowledged = Promise.withResolvers<void>();
  const socket = await openWebsocket(url, (message) => {
    if (message.includes(ERRORS)) throw new Error(`A client was told ${message.toString().slice(0, 500)}.`);
    if (message.includes(ACK)) acknowledged.resolve();
    else count(client, message);
  });
  const payload = { authorization: `Bearer ${ROOT_KEY}`, 'x-environment-id': environmentId };
  socket.send({ type: 'connection_init', payload });
  await acknowledged.promise;
  socket.send({ id: '1', type: 'subscribe', payload: { query: QUERY } });
  return socket;
}

function count(client: Client, message: Buffer) {
  const now = Date.now();
  const times = timesOf(message);
  client.changes += times.length;
  if (client.isTimed) for (const time of times) latenciesMs.push(now - time);
}

/** What all clients are told is searched once. */
let searched = { message: Buffer.alloc(0), times: [] as number[] };

/** When the changes in a message were made, in milliseconds since 1970. */
function timesOf(message: Buffer): number[] {
  if (message.equals(searched.message)) return searched.times;
  const times: number[] = [];
  for (let at = message.indexOf(CHANGED_AT); at >= 0; at = message.indexOf(CHANGED_AT, at + TIME_CHARS)) {
    const start = at + CHANGED_AT.length;
    times.push(Date.parse(message.toString('latin1', start, start + TIME_CHARS)));
  }
  searched = { message: Buffer.from(message), times };
  return times;
}

async function openAll({ url, environmentId, count: clientCount }: WatcherRequest & { ask: 'open' }) {
  clients = Array.from({ length: clientCount }, (_, index) => ({ changes: 0, isTimed: index % TIMED_EACH === 0 }));
  for (let opened = 0; opened < clientCount; opened += CONNECTING_MAX) {
    const some = clients.slice(opened, opened + CONNECTING_MAX);
    sockets.push(...(await Promise.all(some.map((client) => open(url, environmentId, client)))));
  }
  return {};
}

async function closeAll() {
  await Promise.all(sockets.map((socket) => socket.close()));
  clients = [];
  sockets = [];
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
