import { type Logger, pino } from 'pino';

/** JSON lines on standard output: one wide line per event and per attempt, IDs first, no payloads, no secrets. */
export type Log = Logger;

/** @param level lowest level that is written, for example `info` */
export function createLog(level: string): Log {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, messageKey: 'event' };
  // Written in the background: a slow reader of the log holds up nothing.
  return pino(options, pino.destination({ sync: false }));
}
