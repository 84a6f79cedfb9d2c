import { once } from 'node:events';
import { type Config, readProcessConfig } from '../config.ts';
import { StartupError } from '../errors.ts';
import { createLog, type Log } from '../log.ts';
import { catchStopSignals, type StopSignals } from './stop-signals.ts';

/** The parts of a running Posthorn that the process itself uses. */
export interface Started {
  /** Base URL of the HTTP server, without a path. */
  url: string;
  /** The operator's key if this start created it, else `null`. */
  newRootKey: string | null;
  /** A link that signs the operator in to the dashboard once, or `null` if there is none. */
  signInUrl: string | null;
  /** Resolves with the reason if Posthorn can't go on. */
  failed: Promise<StartupError>;
  /** Lets attempts in flight finish and stops everything. @returns false if the time for that ran out */
  stop(): Promise<boolean>;
}

/**
 * Starts all parts of Posthorn. If `signal` is aborted before they are ready, it stops what it has started and rejects.
 */
export type Start = (config: Config, log: Log, options: { signal: AbortSignal }) => Promise<Started>;

/** Runs Posthorn in this process, from its environment to its end. */
export async function runStart(start: Start): Promise<void> {
  const stopSignals = catchStopSignals();
  try {
    const config = readProcessConfig();
    const log = createLog(config.logLevel);
    stopSignals.logTo(log);
    await runUntilStopped(start, { config, log, stopSignals });
    process.exit(0);
  } catch (error) {
    // An error of the set-up is one line. Anything else is an error of Posthorn, whose stack is needed.
    process.stderr.write(`${error instanceof StartupError ? error.message : (error as Error).stack}\n`);
    process.exit(1);
  }
}

interface Running {
  config: Config;
  log: Log;
  stopSignals: StopSignals;
}

async function runUntilStopped(start: Start, { config, log, stopSignals: { signal } }: Running) {
  const started = await start(config, log, { signal }).catch((error) => {
    // An interrupted start fails in many ways. It has cleaned up, as it was asked to.
    if (signal.aborted) return null;
    throw error;
  });
  if (started === null) {
    log.info({ hasStarted: false }, 'posthorn.stopped');
    return;
  }
  log.info({ url: `${started.url}/graphql`, role: config.role }, 'posthorn.started');
  if (config.databaseUrl === null) welcome(started, config);
  const stopped = signal.aborted ? Promise.resolve() : once(signal, 'abort').then(() => {});
  const failure = (await Promise.race([stopped, started.failed])) ?? null;
  // Without its database there is nothing to finish.
  if (failure) throw failure;
  const hasFinished = await started.stop();
  log.info({ hasFinished }, 'posthorn.stopped');
}

function welcome({ url, newRootKey, signInUrl }: Started, { dataDir }: Config) {
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
