import type { Log } from '../log.ts';

/** Time in which lines of one cause are written once and then counted. */
const PERIOD_MS = 60_000;
/** Causes that are told apart in a period. Further ones count together, by their event. */
const CAUSES_MAX = 1_000;

interface Cause {
  level: 'info' | 'warn' | 'error';
  event: string;
  /** Of the latest line. */
  fields: Record<string, unknown>;
  /** Lines since the last one that was written. */
  repeated: number;
}

/**
 * Log lines that requests cause, collapsed so that clients cannot fill the log: the first line of a cause is written at once,
 * and those that follow within a minute become one line with their number and the latest line's fields.
 */
export class RepeatedLines {
  readonly #log: Log;
  readonly #causes = new Map<string, Cause>();
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** @param cause what makes lines the same, beside the event: for example the message of an error */
  write(level: Cause['level'], cause: string, fields: Record<string, unknown>, event: string): void {
    const full = this.#causes.size >= CAUSES_MAX;
    const name = `${event} ${cause}`;
    const key = full && !this.#causes.has(name) ? event : name;
    const known = this.#causes.get(key);
    if (known) {
      known.repeated += 1;
      known.fields = fields;
      return;
    }
    this.#causes.set(key, { level, event, fields, repeated: 0 });
    this.#timer ??= setTimeout(() => this.flush(), PERIOD_MS).unref();
    this.#log[level](fields, event);
  }

  /** Ends the period: writes how often lines were repeated. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const causes = [...this.#causes];
    this.#causes.clear();
    for (const [key, { level, event, fields, repeated }] of causes) {
      if (repeated === 0) continue;
      this.#log[level]({ ...fields, repeated }, event);
      // A cause that goes on is still counted.
      this.#causes.set(key, { level, event, fields, repeated: 0 });
    }
    if (this.#causes.size > 0) this.#timer = setTimeout(() => this.flush(), PERIOD_MS).unref();
  }
}
