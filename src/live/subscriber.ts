import { type ChangePosition, comparePositions } from './cursor.ts';
import { type ChangeBatch, makeBatch, type Round, type Topic } from './topic.ts';

/**
 * Changes that may wait for a subscriber. One who has more before it is told from the table, at its own pace, until it
 * has caught up: so its memory is bounded, and nobody waits for it.
 */
export const QUEUED_CHANGES_MAX = 2_000;

export interface SubscriberOptions {
  topic: Topic;
  /** All up to here is known to it. */
  start: ChangePosition;
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
  /** What lies before its head is taken from the table, what comes behind it from the queue. */
  #tableEnd: Round;
  #queue: ChangeBatch[] = [];
  #queuedChanges = 0;
  #wakeUp: () => void = () => {};
  #isEnded = false;

  constructor({ topic, start, joinedIn, readBetween }: SubscriberOptions) {
    this.topic = topic;
    this.#position = start;
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

  /** Waits for what comes next. @returns null once it was ended */
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

  async #takeNext(): Promise<ChangeBatch | null> {
    if (comparePositions(this.#position, this.#tableEnd.head) < 0) return this.#takeFromTable();
    const batch = this.#queue.shift();
    if (batch) return this.#takeFromQueue(batch);
    await new Promise<void>((resolve) => {
      this.#wakeUp = resolve;
    });
    return null;
  }

  async #takeFromTable(): Promise<ChangeBatch | null> {
    const batch = await this.#readBetween(this.topic, this.#position, this.#tableEnd);
    this.#position = batch.position;
    return batch.changes.length > 0 ? batch : null;
  }

  #takeFromQueue(batch: ChangeBatch): ChangeBatch | null {
    this.#queuedChanges -= batch.changes.length;
    const known = this.#position;
    if (comparePositions(batch.position, known) <= 0) return null;
    this.#position = batch.position;
    const isNew = (change: ChangePosition) => comparePositions(change, known) > 0;
    if (batch.changes.every(isNew)) return batch;
    // It came with a cursor that is ahead of this process, or in the middle of what is coalesced.
    const changes = batch.changes.filter(isNew);
    return changes.length > 0 ? makeBatch(this.topic.filter, changes, batch.round) : null;
  }
}
