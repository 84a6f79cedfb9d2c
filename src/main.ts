import { Authenticator } from './access/authenticate.ts';
import { SignInTokens } from './access/sign-in-tokens.ts';
import { type Config, readProcessConfig } from './config.ts';
import { Courier } from './deliver/courier.ts';
import { Dispatcher } from './deliver/dispatcher.ts';
import { LaneRunner } from './deliver/lane-runner.ts';
import { Recorder } from './deliver/recorder.ts';
import { Retention } from './deliver/retention.ts';
import { Scheduler } from './deliver/scheduler.ts';
import { Sender } from './deliver/sender.ts';
import { StatsKeeper } from './deliver/stats-keeper.ts';
import { makeTargetPolicy } from './domain/target-policy.ts';
import { Endpoints } from './endpoints/endpoints.ts';
import { StartupError } from './errors.ts';
import type { Services } from './graphql/context.ts';
import { startHttpServer } from './http/server.ts';
import { ChangeFeed } from './live/change-feed.ts';
import { EndpointFeed } from './live/endpoint-feed.ts';
import { HealthWatches } from './live/health-watch.ts';
import { StatsWatches } from './live/stats-watch.ts';
import { createLog, type Log } from './log.ts';
import { Announcer } from './publish/announcer.ts';
import { Publisher } from './publish/publisher.ts';
import { DeliveryQueue } from './queue/delivery-queue.ts';
import { checkEncryptionKey } from './storage/check-encryption-key.ts';
import { openDatabase, openPool } from './storage/database.ts';
import { OutgoingReader } from './storage/load-outgoing.ts';
import { migrate } from './storage/migrate.ts';
import { readEndpointHealth } from './storage/read-endpoint-health.ts';
import { readLiveCounts } from './storage/read-live-counts.ts';
import { readWaiting } from './storage/read-waiting.ts';
import { Signals } from './storage/signals.ts';
import { makeKeyring, openStore, type Store } from './storage/store.ts';

const USER_AGENT = 'Posthorn/0.1.0';
/** Statements end so long after the time of the operation that they are for: first its caller is told. */
const STATEMENT_GRACE_MS = 1_000;

/** A running Posthorn. */
export interface Posthorn {
  /** Where it answers, without a path. */
  url: string;
  /** The database that it uses. */
  databaseUrl: string;
  /** The operator's key, where this start made it; null: it was given, or made before. */
  newRootKey: string | null;
  /** A link that signs the operator in to the dashboard, once; null: in production, where keys alone do, and in a worker. */
  signInUrl: string | null;
  /** Lets attempts in flight finish and stops everything. @returns false where the time for that ran out */
  stop(): Promise<boolean>;
}

/** Starts everything that the role asks for, in order. What was started is stopped again when a later step fails. */
export async function startPosthorn(config: Config, log: Log): Promise<Posthorn> {
  const stops: (() => Promise<unknown>)[] = [];
  const stopAll = async () => {
    for (const stop of stops.splice(0).reverse()) {
      await stop().catch((error: Error) => log.error({ error: error.message }, 'posthorn.stop_failed'));
    }
  };
  try {
    return await startParts(config, log, stops, stopAll);
  } catch (error) {
    await stopAll();
    throw error;
  }
}

/** Over 40 lines: the one list of all parts, from top to bottom as they depend on one another. */
async function startParts(
  config: Config,
  log: Log,
  stops: (() => Promise<unknown>)[],
  stopAll: () => Promise<void>,
): Promise<Posthorn> {
  const store = await openStore(config, stops);
  const { databaseUrl } = store;
  const { rootKey, newRootKey } = findRootKey(config, store);
  const keyring = makeKeyring(config, store);
  // Behind a pooler in transaction mode, locks and LISTEN need a connection of their own to Postgres.
  const directUrl = config.directDatabaseUrl ?? databaseUrl;
  const isPooled = config.directDatabaseUrl !== null;
  await migrate(directUrl);
  // What is done for callers has a pool of its own: none of its statements runs on when nobody waits for it any more, and
  // however much is asked, outcomes are recorded.
  const pool = openPool(databaseUrl, log, { isPooled, walksIndexes: true });
  stops.push(() => pool.end());
  await checkEncryptionKey(pool, keyring);

  const signals = new Signals({ databaseUrl: directUrl, pool, log });
  stops.push(() => signals.stop());
  await signals.start();
  const isWorker = config.role !== 'api';
  const queue = new DeliveryQueue({ pool, log, supervise: isWorker });
  stops.push(() => queue.stop());
  await queue.start();
  const deliveries = { pool, queue, signals };
  const targetPolicy = makeTargetPolicy(config);

  let hasFinished = true;
  if (isWorker) {
    const sender = new Sender({
      keyring,
      targetPolicy,
      proxyUrl: config.proxyUrl,
      userAgent: USER_AGENT,
    });
    stops.push(() => sender.close());
    const recorder = new Recorder({ ...deliveries, log, disableAfterMs: config.disableFailingAfterMs });
    const outgoing = new OutgoingReader(pool);
    const courier = new Courier({ sender, recorder, log });
    const parts = [
      new Dispatcher({ outgoing, queue, courier, signals, log }),
      new LaneRunner({ pool, outgoing, courier, signals, log }),
      new Scheduler({ ...deliveries, log }),
      new Retention({ pool, log, retentionDays: config.retentionDays }),
      new StatsKeeper({ pool, log }),
      new Announcer({ ...deliveries, log }),
    ];
    stops.push(async () => {
      const stopped = Promise.all(parts.map((part) => part.stop())).then(() => true);
      hasFinished = await endsWithin(stopped, config.shutdownTimeoutMs);
      if (!hasFinished) courier.abandon();
    });
    for (const part of parts) part.start();
  }

  let services: Services | null = null;
  if (config.role !== 'worker') {
    const api = openDatabase(databaseUrl, log, {
      isPooled,
      statementTimeoutMs: config.operationTimeoutMs + STATEMENT_GRACE_MS,
    });
    stops.push(() => api.close());
    const { pool, prisma } = api;
    const deliveries = { pool, queue, signals };
    const publisher = new Publisher({ ...deliveries, log });
    const feed = new ChangeFeed({ pool, log });
    signals.on('posthorn_changes', () => feed.wake());
    await feed.start();
    stops.push(() => feed.stop());
    const endpointFeed = new EndpointFeed({ pool, log });
    signals.on('posthorn_changes', () => endpointFeed.wake());
    endpointFeed.start();
    stops.push(() => endpointFeed.stop());
    const stats = new StatsWatches({
      readCounts: (range) => readLiveCounts(pool, range),
      readWaiting: (environmentId, endpointId) => readWaiting(pool, environmentId, endpointId),
      log,
    });
    stops.push(() => stats.stop());
    const health = new HealthWatches({ readHealth: (endpointIds) => readEndpointHealth(pool, endpointIds), log });
    stops.push(() => health.stop());
    const { complexityMax } = config;
    const endpoints = new Endpoints({ prisma, signals, keyring, targetPolicy });
    const authenticator = new Authenticator(pool, { rootKey, keyring });
    services = {
      prisma,
      authenticator,
      publisher,
      endpoints,
      deliveries,
      feed,
      endpointFeed,
      stats,
      health,
      complexityMax,
      log,
    };
  }
  const signInTokens = new SignInTokens();
  const server = await startHttpServer({
    host: config.host,
    port: config.port,
    services,
    signInTokens,
    limits: config,
    checkReady: async () => void (await pool.query('select 1')),
    log,
  });
  stops.push(() => server.stop());
  return {
    url: server.url,
    databaseUrl,
    newRootKey,
    signInUrl:
      config.production || !rootKey || !services
        ? null
        : `${toLocalUrl(server.url)}/sign-in#${signInTokens.make(rootKey)}`,
    stop: async () => {
      await stopAll();
      return hasFinished;
    },
  };
}

/** Where a browser on this machine finds a process that listens on all addresses. */
const toLocalUrl = (url: string) => url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');

/** The operator's key: as given, or that of the embedded default. */
function findRootKey({ rootKey }: Config, { dataDir }: Store) {
  if (rootKey !== null || !dataDir) return { rootKey, newRootKey: null };
  return { rootKey: dataDir.keys.rootKey, newRootKey: dataDir.isNew ? dataDir.keys.rootKey : null };
}

/** @returns false where the time ran out first */
async function endsWithin(work: Promise<boolean>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  return Promise.race([work, timeout]).finally(() => clearTimeout(timer));
}

/** This process, from its environment to its end. */
async function runProcess() {
  try {
    const config = readProcessConfig();
    const log = createLog(config.logLevel);
    const posthorn = await startPosthorn(config, log);
    log.info({ url: `${posthorn.url}/graphql`, role: config.role }, 'posthorn.started');
    if (config.databaseUrl === null) welcome(posthorn, config);
    stopOnSignals(posthorn, log);
  } catch (error) {
    // A fault of the set-up is one line; anything else is a fault of Posthorn, and its stack is wanted.
    process.stderr.write(`${error instanceof StartupError ? error.message : (error as Error).stack}\n`);
    process.exit(1);
  }
}

function welcome({ url, newRootKey, signInUrl }: Posthorn, { dataDir }: Config) {
  const key = newRootKey
    ? `Operator key:  ${newRootKey}\n               Shown this once; it is also kept in ${dataDir}/keys.json.`
    : `Operator key:  as at the first start, or as POSTHORN_ROOT_KEY sets it.`;
  const dashboard = signInUrl
    ? `Dashboard:     ${signInUrl}\n               Signs you in once, within an hour. Later, sign in with the key.\n`
    : '';
  process.stderr.write(
    `\nPosthorn is ready.\n${dashboard}GraphQL:       ${url}/graphql\n${key}\nStop with Ctrl-C.\n\n`,
  );
}

/** The first signal stops in order, the second at once. */
function stopOnSignals(posthorn: Posthorn, log: Log) {
  let isStopping = false;
  const stop = async (signal: string) => {
    if (isStopping) process.exit(1);
    isStopping = true;
    log.info({ signal }, 'posthorn.stopping');
    const hasFinished = await posthorn.stop();
    log.info({ hasFinished }, 'posthorn.stopped');
    process.exit(0);
  };
  process.on('SIGINT', () => void stop('SIGINT'));
  process.on('SIGTERM', () => void stop('SIGTERM'));
}

if (import.meta.main) await runProcess();
