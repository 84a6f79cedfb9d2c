import type { Log } from '../log.ts';
import { PollLoop } from '../poll-loop.ts';
import { inTransaction } from '../storage/transaction.ts';
import { changeDeliveries, type DeliveryChangerOptions, signalChanges } from './change-deliveries.ts';

/** Retries that come due are found within this time. */
const POLL_MS = 200;
/** Retries of one transaction. */
const BATCH_MAX = 500;

/**
 * Queues retries when they are due. A retry that waits is nothing but its delivery's row and a partial index: it costs
 * the lanes nothing, however many there are.
 */
export class Scheduler {
  readonly #options: DeliveryChangerOptions;
  readonly #loop: PollLoop;

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
    const where = `d.status = 'RETRYING' and d.next_attempt_at <= $1`;
    const condition = { name: 'due', where, values: [new Date()], batch: BATCH_MAX };
    const decide = () => ({ happening: { type: 'due' as const } });
    const due = await inTransaction(pool, (client) => changeDeliveries(client, queue, { condition, decide }));
    if (due.length > 0) signalChanges(signals);
    return due.length === BATCH_MAX;
  }
}
