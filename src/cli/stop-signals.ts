import type { Log } from '../log.ts';

const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** npm forwards the signal that a terminal has sent to all of its processes: the copy is not a second request. */
const FORWARDED_WITHIN_MS = 1_000;

/** Reaction of a process to signals that ask it to end. */
export interface StopSignals {
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP. Its reason is the name of that signal. */
  readonly signal: AbortSignal;
  /** Sets the log for the lines about stopping. Without one, nothing is logged. */
  logTo(log: Log): void;
}

/**
 * Takes over SIGINT, SIGTERM and SIGHUP for the rest of this process. The first one aborts `signal`, and the caller ends
 * the process after cleaning up. A later one ends it at once with code 1. The same signal within one second counts as
 * the first one.
 */
export function catchStopSignals(): StopSignals {
  const abort = new AbortController();
  let log: Log | undefined;
  let first: { name: string; atMs: number } | undefined;
  const stop = (name: NodeJS.Signals) => {
    if (first) {
      const isForwarded = first.name === name && performance.now() - first.atMs < FORWARDED_WITHIN_MS;
      if (!isForwarded) process.exit(1);
      return;
    }
    first = { name, atMs: performance.now() };
    log?.info({ signal: name }, 'posthorn.stopping');
    abort.abort(name);
  };
  for (const name of STOP_SIGNALS) process.on(name, stop);
  ignoreClosedTerminal();
  return {
    signal: abort.signal,
    logTo: (given) => {
      log = given;
    },
  };
}

/** After a terminal has closed, each write to it fails (EIO). That must not interrupt the stop. */
function ignoreClosedTerminal() {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}
