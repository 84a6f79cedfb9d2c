/** Batches under way at once: while the database stores one, the next is put together and sent. */
const FLUSHES_MAX = 2;
/** Events of one batch, unless a single group has more. */
const BATCH_EVENTS_MAX = 500;
/** Bytes of bodies in one batch, unless a single group has more. */
const BATCH_BYTES_MAX = 4_194_304;

/** What is never split over two batches. */
export interface Gathered {
  events: readonly unknown[];
  /** Of all bodies. */
  bytes: number;
}

/**
 * Gathers what comes together into batches: what arrives within two turns of the event loop, and all that comes while
 * as many batches as may be are under way. So nothing waits for a time of its own, and the more there is, the larger
 * batches get.
 */
export class Gatherer<Group extends Gathered> {
  readonly #flush: (groups: Group[]) => Promise<void>;
  #waiting: Group[] = [];
  #flushes = 0;
  #isArmed = false;

  /** @param flush takes a batch. Never rejects. */
  constructor(flush: (groups: Group[]) => Promise<void>) {
    this.#flush = flush;
  }

  add(group: Group): void {
    this.#waiting.push(group);
    this.#arm();
  }

  #arm() {
    if (this.#isArmed || this.#flushes >= FLUSHES_MAX) return;
    this.#isArmed = true;
    setImmediate(() => setImmediate(() => this.#startFlushes()));
  }

  #startFlushes() {
    this.#isArmed = false;
    while (this.#flushes < FLUSHES_MAX && this.#waiting.length > 0) {
      this.#flushes += 1;
      void this.#flush(this.#takeBatch()).finally(() => {
        this.#flushes -= 1;
        this.#startFlushes();
      });
    }
  }

  #takeBatch(): Group[] {
    let events = 0;
    let bytes = 0;
    let count = 0;
    for (const group of this.#waiting) {
      const isFull = events + group.events.length > BATCH_EVENTS_MAX || bytes + group.bytes > BATCH_BYTES_MAX;
      if (count > 0 && isFull) break;
      events += group.events.length;
      bytes += group.bytes;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }
}
