import { Authenticator } from './access/authenticate.ts';
import { SignInTokens } from './access/sign-in-tokens.ts';
import { runStart, type Started } from './cli/start.ts';
import type { Config } from './config.ts';
import { Courier } from './deliver/courier.ts';
import { Dispatcher } from './deliver/dispatcher.ts';
import { LaneRunner } from './deliver/lane-runner.ts';
import { Recorder } from './deliver/recorder.ts';
import { RestoreWatch } from './deliver/restore-watch.ts';
import { Retention } from './deliver/retention.ts';
import { Scheduler } from './deliver/scheduler.ts';
import { Sender } from './deliver/sender.ts';
import { readSocketsMax } from './deliver/socket-gate.ts';
import { StatsKeeper } from './deliver/stats-keeper.ts';
import { StrandedSweep } from './deliver/stranded-sweep.ts';
import { makeTargetPolicy } from './domain/target-policy.ts';
import { Endpoints } from './endpoints/endpoints.ts';
import type { Services } from './graphql/context.ts';
import { startHttpServer } from './http/server.ts';
import { ChangeFeed } from './live/change-feed.ts';
import { EndpointFeed } from './live/endpoint-feed.ts';
import { HealthWatches } from './live/health-watch.ts';
import { StatsWatches } from './live/stats-watch.ts';
import type { Log } from './log.ts';
import { Announcer } from './publish/announcer.ts';
import { Publisher } from './publish/publisher.ts';
import { DeliveryQueue } from './queue/delivery-queue.ts';
import { checkDatabase } from './storage/check-database.ts';
import { checkEncryptionKey } from './storage/check-encryption-key.ts';
import { describeStartFailure } from './storage/connect-failure.ts';
import { ConnectionShare } from './storage/connection-share.ts';
import { openDatabase, openPool } from './storage/database.ts';
import { OutgoingReader } from './storage/load-outgoing.ts';
import { migrate } from './storage/migrations/migrate.ts';
import { OnlineMigrations } from './storage/migrations/online-migrations.ts';
import { requireMigrations } from './storage/migrations/require-migrations.ts';
import { readEndpointHealth } from './storage/read-endpoint-health.ts';
import { readLiveCounts } from './storage/read-live-counts.ts';
import { readPostgresVersion } from './storage/read-postgres-version.ts';
import { readWaiting } from './storage/read-waiting.ts';
import { nameInSchema, schemaOf } from './storage/session-settings.ts';
import { Signals } from './storage/signals.ts';
import { makeKeyring, openStore, type Store } from './storage/store.ts';
import { waitForDatabase } from './storage/wait-for-database.ts';
import { VERSION } from './version.ts';

const USER_AGENT = `Posthorn/${VERSION}`;
/** Statements end so long after the time of the operation that they are for: first its caller is told. */
const STATEMENT_GRACE_MS = 1_000;
/** Share of the shutdown time in which requests and attempts in flight may finish. The rest is for closing connections. */
const DRAIN_SHARE = 0.9;
/** Time that a part has to stop, even if the shutdown time is over. */
const STOP_STEP_MS_MIN = 1_000;

/** A running Posthorn. */
export interface Posthorn extends Started {
  /** The database that it uses. */
  databaseUrl: string;
}

export interface StartOptions {
  /** Aborts the start: what has been started is stopped again, and the start rejects. @default never */
  signal?: AbortSignal;
}

/**
 * Starts all parts of the configured role, in order. If a later step fails or `signal` is aborted, the parts that have
 * been started are stopped again.
 */
export async function startPosthorn(config: Config, log: Log, { signal }: StartOptions = {}): Promise<Posthorn> {
  const stops: (() => Promise<unknown>)[] = [];
  const stopAll = async (timeoutMs = config.shutdownTimeoutMs) => {
    const deadline = performance.now() + timeoutMs;
    for (const stop of stops.splice(0).reverse()) {
      const stopped = stop().then(
        () => true,
        (error: Error) => {
          log.error({ error: error.message }, 'posthorn.stop_failed');
          return true;
        },
      );
      // A part that hangs holds up neither the parts below it nor the end of the process.
      const isInTime = await endsWithin(stopped, Math.max(deadline - performance.now(), STOP_STEP_MS_MIN));
      if (!isInTime) log.warn('posthorn.stop_timed_out');
    }
  };
  try {
    const posthorn = await startParts({ config, log, signal, stops, stopAll });
    signal?.throwIfAborted();
    return posthorn;
  } catch (error) {
    await stopAll();
    throw describeStartFailure(error);
  }
}

interface StartingParts {
  config: Config;
  log: Log;
  signal: AbortSignal | undefined;
  /** Receives a function for each started part, which stops it. */
  stops: (() => Promise<unknown>)[];
  stopAll: (timeoutMs?: number) => Promise<void>;
}

/** Over 40 lines: the one list of all parts, from top to bottom as they depend on one another. */
async function startParts({ config, log, signal, stops, stopAll }: StartingParts): Promise<Posthorn> {
  const drainMs = config.shutdownTimeoutMs * DRAIN_SHARE;
  const signInTokens = new SignInTokens();
  // First of all: health checks are answered while the database is waited for and migrated.
  const server = await startHttpServer({ host: config.host, port: config.port, signInTokens, limits: config, log });
  stops.push(() => server.stop(drainMs));
  const store = await openStore(config, stops, log, signal);
  signal?.throwIfAborted();
  const waiting = { log, signal, databaseWaitMs: config.databaseWaitMs };
  const whenReachable = <T>(work: () => Promise<T>) => waitForDatabase(work, waiting);
  const urls = { databaseUrl: store.databaseUrl, directDatabaseUrl: config.directDatabaseUrl };
  const { databaseUrl, directDatabaseUrl } = await whenReachable(() => checkDatabase(urls, log));
  signal?.throwIfAborted();
  const { rootKey, ...rootKeyOrigin } = findRootKey(config, store);
  const keyring = makeKeyring(config, store);
  // Behind a pooler in transaction mode, locks and LISTEN need a connection of their own to Postgres.
  const directUrl = directDatabaseUrl ?? databaseUrl;
  const isPooled = directDatabaseUrl !== null;
  if (config.migrates) await whenReachable(() => migrate(directUrl, waiting));
  else await whenReachable(() => requireMigrations(directUrl, waiting));
  // What is done for callers has a pool of its own: none of its statements runs on when nobody waits for it any more, and
  // however much is asked, outcomes are recorded.
  const connections = { isPooled, max: config.databaseConnections, share: new ConnectionShare() };
  const pool = openPool(databaseUrl, log, { ...connections, walksIndexes: true });
  stops.push(() => pool.end());
  await whenReachable(() => checkEncryptionKey(pool, keyring));
  const postgresVersion = await whenReachable(() => readPostgresVersion(pool));
  const restoreWatch = new RestoreWatch({ pool, log });
  stops.push(() => restoreWatch.stop());
  await whenReachable(() => restoreWatch.start());
  signal?.throwIfAborted();

  const signals = new Signals({ databaseUrl: directUrl, pool, log });
  stops.push(() => signals.stop());
  await signals.start();
  const isWorker = config.role !== 'api';
  const queue = new DeliveryQueue({
    pool,
    log,
    supervise: isWorker,
    schema: nameInSchema(schemaOf(databaseUrl), 'pgboss'),
    migrates: config.migrates,
  });
  stops.push(() => queue.stop());
  await whenReachable(() => queue.start());
  signal?.throwIfAborted();
  const deliveries = { pool, queue, signals };
  const targetPolicy = makeTargetPolicy(config);

  let hasFinished = true;
  let stopWorker = async () => {};
  if (isWorker) {
    const sender = new Sender({
      keyring,
      targetPolicy,
      proxyUrl: config.proxyUrl,
      dnsServers: config.dnsServers,
      socketsMax: await readSocketsMax(),
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
      new StrandedSweep({ ...deliveries, log }),
      new Announcer({ ...deliveries, log }),
    ];
    let stopping: Promise<void> | undefined;
    const drain = async () => {
      recorder.stop();
      const stopped = Promise.all(parts.map((part) => part.stop())).then(() => true);
      hasFinished = await endsWithin(stopped, drainMs);
      if (!hasFinished) courier.abandon();
    };
    stopWorker = () => {
      stopping ??= drain();
      return stopping;
    };
    stops.push(stopWorker);
    for (const part of parts) part.start();
  }

  let services: Services | null = null;
  if (config.role !== 'worker') {
    const api = openDatabase(databaseUrl, log, {
      ...connections,
      statementTimeoutMs: config.operationTimeoutMs + STATEMENT_GRACE_MS,
    });
    stops.push(() => api.close());
    const { pool, prisma } = api;
    const deliveries = { pool, queue, signals };
    const publisher = new Publisher({ ...deliveries, log });
    const feed = new ChangeFeed({ pool, log });
    signals.on('posthorn_changes', () => feed.wake());
    await whenReachable(() => feed.start());
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
  server.serve({ services, checkReady: () => restoreWatch.check() });
  const onlineMigrations = new OnlineMigrations({ pool, databaseUrl: directUrl, log, buildsIndexes: config.migrates });
  stops.push(() => onlineMigrations.stop());
  onlineMigrations.start();
  return {
    url: server.url,
    databaseUrl,
    failed: store.failed,
    ...rootKeyOrigin,
    postgresVersion,
    signInUrl:
      config.production || !rootKey || !services
        ? null
        : `${toLocalUrl(server.url)}/sign-in#${signInTokens.make(rootKey)}`,
    stop: async () => {
      const began = performance.now();
      // Requests and attempts in flight share the time. Failures are logged below, where both stop again.
      await Promise.allSettled([server.stop(drainMs), stopWorker()]);
      await stopAll(config.shutdownTimeoutMs - (performance.now() - began));
      return hasFinished;
    },
  };
}

/** Where a browser on this machine finds a process that listens on all addresses. */
const toLocalUrl = (url: string) => url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');

/** The operator's key: as given, or that of the embedded default. */
function findRootKey({ rootKey }: Config, { dataDir }: Store) {
  if (rootKey !== null || !dataDir) {
    return { rootKey, newRootKey: null, rootKeyFile: null, confirmRootKeyShown: async () => {} };
  }
  const { keys, keysFile } = dataDir;
  return {
    rootKey: keys.rootKey,
    newRootKey: keys.isRootKeyShown ? null : keys.rootKey,
    rootKeyFile: keysFile,
    confirmRootKeyShown: () => dataDir.confirmRootKeyShown(),
  };
}

/** @returns false where the time ran out first */
async function endsWithin(work: Promise<boolean>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  return Promise.race([work, timeout]).finally(() => clearTimeout(timer));
}

if (import.meta.main) await runStart(startPosthorn);
