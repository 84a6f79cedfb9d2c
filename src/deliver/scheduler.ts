import type { Log } from '../log.ts';
import { PollLoop } from '../poll-loop.ts';
import type { LockCondition } from '../storage/lock-deliveries.ts';
import { inTransaction } from '../storage/transaction.ts';
import { changeDeliveries, type DeliveryChangerOptions, signalChanges } from './change-deliveries.ts';

/** Retries that come due are found within this time. */
const POLL_MS = 200;
/** Retries of one transaction. */
const BATCH_MAX = 500;
/**
 * Batches that continue where the one before ended. Then the scheduler looks at the earliest due time again, for retries
 * that another transaction had locked.
 */
const CONTINUED_BATCHES_MAX = 20;
/** Before every due time. */
const BEGINNING = new Date(0);

/**
 * Retries due from one time to another, the earliest first. They are read from the index of due times, so a batch costs
 * the same however many are due.
 */
export const dueBetween = (from: Date, until: Date, batch = BATCH_MAX): LockCondition => ({
  name: 'due',
  where: `d.status = 'RETRYING' and d.next_attempt_at >= $1 and d.next_attempt_at <= $2`,
  values: [from, until],
  batch,
  batchOrder: 'd.next_attempt_at',
});

/**
 * Queues retries when they are due. A retry that waits is nothing but its delivery's row and a partial index: it costs
 * the lanes nothing, however many there are.
 */
export class Scheduler {
  readonly #options: DeliveryChangerOptions;
  readonly #loop: PollLoop;
  /** Where the next batch begins: until vacuum, the index keeps entries of retries that earlier batches have queued. */
  #from = BEGINNING;
  #continuedBatches = 0;

  constructor(options: DeliveryChangerOptions & { log: Log }) {
    this.#options = options;
    this.#loop = new PollLoop({ name: 'scheduler', pollMs: POLL_MS, log: options.log, turn: () => this.#turn() });
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  async #turn(): Promise<boolean> {
    const { pool, queue, signals } = this.#options;
    const condition = dueBetween(this.#from, new Date());
    let lastDueAt = this.#from;
    const decide = ({ nextAttemptAt }: { nextAttemptAt: Date | null }) => {
      if (nextAttemptAt && nextAttemptAt > lastDueAt) lastDueAt = nextAttemptAt;
      return { happening: { type: 'due' as const } };
    };
    const due = await inTransaction(pool, (client) => changeDeliveries(client, queue, { condition, decide }));
    if (due.length > 0) signalChanges(signals);
    const mayContinue = due.length === BATCH_MAX && this.#continuedBatches < CONTINUED_BATCHES_MAX;
    const hasMore = due.length === BATCH_MAX || this.#from > BEGINNING;
    this.#from = mayContinue ? lastDueAt : BEGINNING;
    this.#continuedBatches = mayContinue ? this.#continuedBatches + 1 : 0;
    return hasMore;
  }
}
