/** How often the event loop is checked. */
const TICK_MS = 100;
/** A tick that is late by less is usual. */
const LATE_MS_MIN = 20;

/** Measures for how long this process did nothing: its event loop was blocked, or the machine was suspended. */
export class StallClock {
  readonly #timer: NodeJS.Timeout;
  #tickedAt = performance.now();
  #stalledMs = 0;

  constructor() {
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  /** Milliseconds since the start, a stall that is not over included. */
  get stalledMs(): number {
    return this.#stalledMs + this.#lateMs(performance.now());
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick() {
    const now = performance.now();
    this.#stalledMs += this.#lateMs(now);
    this.#tickedAt = now;
  }

  #lateMs(now: number): number {
    const lateMs = now - this.#tickedAt - TICK_MS;
    return lateMs < LATE_MS_MIN ? 0 : lateMs;
  }
}
