import { pino } from 'pino';
import type { Log } from '../../src/log.ts';

export interface LogLine extends Record<string, unknown> {
  event: string;
  /** As pino counts: 30 info, 40 warn, 50 error. */
  level: number;
}

/** A log that keeps its lines. */
export function keepLog(): { log: Log; lines: LogLine[]; named: (event: string) => LogLine[] } {
  const lines: LogLine[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line));
  const log = pino({ level: 'debug', messageKey: 'event', base: null }, { write });
  return { log, lines, named: (event) => lines.filter((line) => line.event === event) };
}
