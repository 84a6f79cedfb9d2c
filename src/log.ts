import { type Logger, pino } from 'pino';

/** JSON lines on standard output: one wide line per event and per attempt, IDs first, no payloads, no secrets. */
export type Log = Logger;

/** Lines are written together once they have so many characters: a write of each would cost more than making it. */
const WRITE_CHARS_MIN = 4_096;
/** But no later than this. What is left when the process exits is written then. */
const WRITE_MS_MAX = 100;

/** @param level lowest level that is written, for example `info` */
export function createLog(level: string): Log {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, messageKey: 'event' };
  // Written in the background: a slow reader of the log holds up nothing.
  return pino(options, pino.destination({ sync: false, minLength: WRITE_CHARS_MIN, periodicFlush: WRITE_MS_MAX }));
}
