import { type Logger, pino } from 'pino';
import { VERSION } from './version.ts';

/**
 * JSON lines on standard output: one wide line per event and per attempt, IDs first, no payloads, no secrets. Each has
 * `level` by name, `time`, `version`, its fields, `event` for programs, for example `delivery.attempted`, and the same
 * in words as `msg` for people. The second argument of its methods is the event.
 */
export type Log = Logger;

/** Lines are written together once they have so many characters: a write of each would cost more than making it. */
const WRITE_CHARS_MIN = 4_096;
/** But no later than this. What is left when the process exits is written then. */
const WRITE_MS_MAX = 100;

/** Messages by event: there are some dozens of events, and a line for each attempt. */
const messages = new Map<string, string>();

/** `delivery.attempted` is "Delivery attempted". */
function toMessage(event: string): string {
  let message = messages.get(event);
  if (message === undefined) {
    const words = event.replaceAll(/[._]/g, ' ');
    message = words.charAt(0).toUpperCase() + words.slice(1);
    messages.set(event, message);
  }
  return message;
}

/** @param level lowest level that is written, for example `info` */
export function createLog(level: string): Log {
  const options = {
    level,
    base: { version: VERSION },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    hooks: { logMethod },
  };
  // Written in the background: a slow reader of the log holds up nothing.
  const destination = pino.destination({ sync: false, minLength: WRITE_CHARS_MIN, periodicFlush: WRITE_MS_MAX });
  // Standard output may be a terminal that was closed. There is no better place to report that.
  destination.on('error', () => {});
  return pino(options, destination);
}

/** Adds the event to the fields, which every caller makes for this line alone: copying them would cost more. */
function logMethod(this: Logger, args: unknown[], method: (...args: unknown[]) => void) {
  const [first, second] = args as [Record<string, unknown> | string, string];
  const [fields, event] = typeof first === 'string' ? [{} as Record<string, unknown>, first] : [first, second];
  fields.event = event;
  method.call(this, fields, toMessage(event));
}
