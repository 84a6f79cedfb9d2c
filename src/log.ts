import { type Logger, pino } from 'pino';

/** JSON lines on standard output: one wide line per event and per attempt, IDs first, no payloads, no secrets. */
export type Log = Logger;

const PIECE_BYTES = 4_096;
const FLUSH_MS = 100;

/** @param level lowest level that is written, for example `info` */
export function createLog(level: string): Log {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, messageKey: 'event' };
  // Written in the background, in pieces; what is left after a short while is written too, and at the process' end.
  const destination = pino.destination({ sync: false, minLength: PIECE_BYTES, periodicFlush: FLUSH_MS });
  return pino(options, destination);
}
