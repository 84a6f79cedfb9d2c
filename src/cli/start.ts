import { once } from 'node:events';
import { type Config, readProcessConfig, SETTING_NAMES } from '../config.ts';
import type { StartupError } from '../errors.ts';
import { createLog, type Log } from '../log.ts';
import { readCommandLine } from './command.ts';
import { describeConfig } from './describe-config.ts';
import { exitOnFailure } from './failure.ts';
import { catchStopSignals, type StopSignals } from './stop-signals.ts';
import { welcome } from './welcome.ts';

/** The parts of a running Posthorn that the process itself uses. */
export interface Started {
  /** Base URL of the HTTP server, without a path. */
  url: string;
  /** The operator's key if it was generated and no terminal has shown it yet, else `null`. */
  newRootKey: string | null;
  /** Absolute path of the file with the generated operator's key; `null` if POSTHORN_ROOT_KEY sets it, or without the embedded Postgres. */
  rootKeyFile: string | null;
  /** Records that a terminal has shown `newRootKey`. */
  confirmRootKeyShown(): Promise<void>;
  /** A link that signs the operator in to the dashboard once, or `null` if there is none. */
  signInUrl: string | null;
  /** Resolves with the reason if Posthorn can't go on. */
  failed: Promise<StartupError>;
  /** Version of the Postgres server, for example `18.4`. */
  postgresVersion: string;
  /** Lets attempts in flight finish and stops everything. @returns false if the time for that ran out */
  stop(): Promise<boolean>;
}

/**
 * Starts all parts of Posthorn. If `signal` is aborted before they are ready, it stops the parts that it has started, and rejects.
 */
export type Start = (config: Config, log: Log, options: { signal: AbortSignal }) => Promise<Started>;

const HELP = `Starts Posthorn: GraphQL, the dashboard and the delivery of webhooks.

  npm start

Environment variables configure it. README.md describes them:

${SETTING_NAMES.map((name) => `  ${name}\n`).join('')}
Flags:

  --help         prints this text
  --version      prints the version
`;

/** Runs Posthorn in this process, from its environment to its end. */
export async function runStart(start: Start): Promise<void> {
  const stopSignals = catchStopSignals();
  readCommandLine({ usage: 'npm start --', help: HELP });
  try {
    const config = readProcessConfig();
    const log = createLog(config.logLevel);
    stopSignals.logTo(log);
    await runUntilStopped(start, { config, log, stopSignals });
    process.exit(0);
  } catch (error) {
    exitOnFailure(error);
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
  logStart(started, { config, log });
  if (config.databaseUrl === null) await welcome(started, config.role);
  const stopped = signal.aborted ? Promise.resolve() : once(signal, 'abort').then(() => {});
  const failure = (await Promise.race([stopped, started.failed])) ?? null;
  // Without its database there is nothing to finish.
  if (failure) throw failure;
  const hasFinished = await started.stop();
  log.info({ hasFinished }, 'posthorn.stopped');
}

/** A worker serves no GraphQL, so its URL is that of its health checks. */
function logStart({ url, postgresVersion }: Started, { config, log }: Pick<Running, 'config' | 'log'>) {
  const fields = {
    url: config.role === 'worker' ? url : `${url}/graphql`,
    role: config.role,
    node: process.version,
    postgres: postgresVersion,
    config: describeConfig(config),
  };
  log.info(fields, 'posthorn.started');
}
