import { RequestError } from '../errors.ts';
import { CHANGES_KEPT_MS } from './change-log.ts';
import { type ChangePosition, comparePositions } from './cursor.ts';
import { type ChangeBatch, makeBatch, type Round, type Topic } from './topic.ts';

/**
 * Changes that may wait for a subscriber. One who has more before it is told from the table, at its own pace, until it
 * has caught up: so its memory is bounded, and nobody waits for it.
 */
export const QUEUED_CHANGES_MAX = 2_000;

/** What one is told who asks for changes that are no longer kept. */
export const EXPIRED_MESSAGE =
  'Changes behind this cursor are no longer kept. Read the list and liveCursor anew, and subscribe with that.';

export interface SubscriberOptions {
  topic: Topic;
  /** All up to its head is known to it. */
  start: Round;
  /** Behind its head, the topic tells it everything. */
  joinedIn: Round;
  /** Reads from the table what lies behind a place, up to the head of a round. Resolves when it could be read. */
  readBetween: (topic: Topic, after: ChangePosition, upTo: Round) => Promise<ChangeBatch>;
}

/** Somebody who is told of changes: first from the table as far as it is behind, then with everybody else. */
export class Subscriber {
  readonly topic: Topic;
  readonly #readBetween: SubscriberOptions['readBetween'];
  #position: ChangePosition;
  /** Of the changes behind that place, none was made before. */
  #at: Date;
  /** What lies before its head is taken from the table, what comes behind it from the queue. */
  #tableEnd: Round;
  #queue: ChangeBatch[] = [];
  #queuedChanges = 0;
  #wakeUp: () => void = () => {};
  #isEnded = false;
  #isExpired = false;

  constructor({ topic, start, joinedIn, readBetween }: SubscriberOptions) {
    this.topic = topic;
    this.#position = start.head;
    this.#at = start.at;
    this.#tableEnd = joinedIn;
    this.#readBetween = readBetween;
  }

  /** Something new: is queued, or left to the table where too much waits already. */
  offer(batch: ChangeBatch): void {
    this.#queue.push(batch);
    this.#queuedChanges += batch.changes.length;
    if (this.#queuedChanges > QUEUED_CHANGES_MAX) {
      this.#queue = [];
      this.#queuedChanges = 0;
      this.#tableEnd = batch.round;
    }
    this.#wakeUp();
  }

  /**
   * Waits for what comes next.
   *
   * @returns null once it was ended
   * @throws {RequestError} CURSOR_EXPIRED if it is so far behind that what it misses is no longer kept, or was expired
   */
  async take(): Promise<ChangeBatch | null> {
    while (!this.#isEnded) {
      const batch = await this.#takeNext();
      if (batch) return batch;
    }
    return null;
  }

  end(): void {
    this.#isEnded = true;
    this.#wakeUp();
  }

  /** The log was replaced by an older state of it: what the subscriber knows and what the log has no longer agree. */
  expire(): void {
    this.#isExpired = true;
    this.#wakeUp();
  }

  async #takeNext(): Promise<ChangeBatch | null> {
    if (this.#isExpired) throw new RequestError('CURSOR_EXPIRED', EXPIRED_MESSAGE);
    if (comparePositions(this.#position, this.#tableEnd.head) < 0) return this.#takeFromTable();
    const batch = this.#queue.shift();
    if (batch) return this.#takeFromQueue(batch);
    await new Promise<void>((resolve) => {
      this.#wakeUp = resolve;
    });
    return null;
  }

  async #takeFromTable(): Promise<ChangeBatch | null> {
    if (Date.now() - this.#at.getTime() > CHANGES_KEPT_MS) throw new RequestError('CURSOR_EXPIRED', EXPIRED_MESSAGE);
    const batch = await this.#readBetween(this.topic, this.#position, this.#tableEnd);
    this.#position = batch.position;
    this.#at = batch.round.at;
    return batch.changes.length > 0 ? batch : null;
  }

  #takeFromQueue(batch: ChangeBatch): ChangeBatch | null {
    this.#queuedChanges -= batch.changes.length;
    const known = this.#position;
    if (comparePositions(batch.position, known) <= 0) return null;
    this.#position = batch.position;
    this.#at = batch.round.at;
    const isNew = (change: ChangePosition) => comparePositions(change, known) > 0;
    if (batch.changes.every(isNew)) return batch;
    // It came with a cursor that is ahead of this process, or in the middle of what is coalesced.
    const changes = batch.changes.filter(isNew);
    return changes.length > 0 ? makeBatch(this.topic.filter, changes, batch.round) : null;
  }
}
