import { Repeater } from '@repeaterjs/repeater';
import type { Pool } from 'pg';
import type { DeliveryStatus } from '../domain/delivery.ts';
import type { Log } from '../log.ts';
import { type ChangePosition, comparePositions } from './cursor.ts';

/** A delivery's change of status, as the log has it. */
export interface DeliveryChange extends ChangePosition {
  environmentId: string;
  deliveryId: string;
  eventId: string;
  endpointId: string;
  status: DeliveryStatus;
  previousStatus: DeliveryStatus | null;
  attemptId: string | null;
  changedAt: Date;
}

/** Which changes a subscriber wants: all that is given must fit. IDs are UUIDs. */
export interface ChangeFilter {
  environmentId: string;
  eventId?: string;
  endpointId?: string;
  deliveryId?: string;
  statuses?: readonly DeliveryStatus[];
}

export interface ChangeBatch {
  changes: DeliveryChange[];
  /** Place of the last change in it. */
  position: ChangePosition;
}

/** Changes are kept so long, and so is a cursor good. */
export const CHANGES_KEPT_MS = 86_400_000;
/** Changes that a process keeps at hand for its subscribers; who is further behind reads the table. */
const RECENT_MAX = 10_000;
/** Changes of one read of the table. */
const READ_MAX = 1_000;
/** Changes of one batch. */
const BATCH_MAX = 250;
/** How often the table is looked at when no signal came. */
const POLL_MS = 1_000;

/** Positions come as text. So an order by the bare names would be that of texts, in which 1000 comes before 999. */
const COLUMNS = `
  xid::text, id::text, environment_id as "environmentId", delivery_id as "deliveryId", event_id as "eventId",
  endpoint_id as "endpointId", status, previous_status as "previousStatus", attempt_id as "attemptId",
  changed_at as "changedAt"`;

/**
 * Only transactions that all others have seen the end of: below the oldest one still running, nothing can appear
 * any more. So a reader that goes on from (xid, id) misses nothing and sees nothing twice.
 */
const SETTLED = 'xid < pg_snapshot_xmin(pg_current_snapshot())';

export interface ChangeFeedOptions {
  pool: Pool;
  log: Log;
}

/** Reads the change log once for all subscribers of this process, and tells them what is new. */
export class ChangeFeed {
  readonly #options: ChangeFeedOptions;
  readonly #wakers = new Set<() => void>();
  /** The latest changes, all of those behind `#floor` up to `#head`. */
  #recent: DeliveryChange[] = [];
  #floor: ChangePosition | null = null;
  #head: ChangePosition | null = null;
  /** Raised whenever what is at hand is forgotten: a read that began before must not be taken in. */
  #generation = 0;
  #reading: Promise<void> | null = null;
  #mustReadAgain = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.wake(), POLL_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading;
  }

  /** Looks at the table now, if anybody listens. */
  wake(): void {
    if (this.#wakers.size === 0) return;
    if (this.#reading) {
      this.#mustReadAgain = true;
      return;
    }
    this.#reading = this.#readOn()
      .catch((error: Error) => this.#options.log.warn({ error: error.message }, 'feed.read_failed'))
      .finally(() => {
        this.#reading = null;
        if (!this.#mustReadAgain) return;
        this.#mustReadAgain = false;
        this.wake();
      });
  }

  /**
   * Every change behind a place that fits the filter, in commit order, for as long as the iteration goes on.
   *
   * @param after null: from now on, which is when this returns
   */
  async subscribe(filter: ChangeFilter, after: ChangePosition | null): Promise<AsyncIterable<ChangeBatch>> {
    const start = after ?? (await this.#findNow());
    return this.#follow(filter, start);
  }

  #follow(filter: ChangeFilter, start: ChangePosition): AsyncIterable<ChangeBatch> {
    return new Repeater<ChangeBatch>(async (push, stop) => {
      let wakeUp = () => {};
      let isStopped = false;
      const waker = () => wakeUp();
      stop.then(() => {
        isStopped = true;
        wakeUp();
      });
      this.#wakers.add(waker);
      try {
        let position = start;
        this.wake();
        while (!isStopped) {
          const woken = new Promise<void>((resolve) => {
            wakeUp = resolve;
          });
          const { changes, next } = await this.#readAfter(position, filter);
          const isAtHead = comparePositions(next, position) === 0;
          position = next;
          const fitting = changes.filter((change) => fits(change, filter));
          if (fitting.length > 0) await push({ changes: fitting, position });
          else if (isAtHead) await woken;
        }
      } finally {
        this.#wakers.delete(waker);
        if (this.#wakers.size === 0) this.#forget();
      }
    });
  }

  /** With nobody to tell, nothing is read: the next subscriber begins anew. */
  #forget() {
    this.#generation += 1;
    this.#recent = [];
    this.#floor = null;
    this.#head = null;
  }

  async #findNow(): Promise<ChangePosition> {
    const { rows } = await this.#options.pool.query('select pg_snapshot_xmin(pg_current_snapshot())::text as xid');
    return { xid: BigInt(rows[0].xid), id: 0n };
  }

  async #readOn() {
    const generation = this.#generation;
    if (!this.#head) {
      const now = await this.#findNow();
      if (generation !== this.#generation) return;
      this.#floor = this.#head = now;
      // Whoever goes on from an earlier place can read the table up to here now.
      for (const wakeUp of this.#wakers) wakeUp();
    }
    const start = this.#head;
    const changes = await this.#readTable(start, '', []);
    if (changes.length === 0 || generation !== this.#generation) return;
    this.#recent.push(...changes);
    this.#head = changes.at(-1) as DeliveryChange;
    const surplus = this.#recent.length - RECENT_MAX;
    if (surplus > 0) this.#floor = this.#recent.splice(0, surplus).at(-1) as DeliveryChange;
    if (changes.length === READ_MAX) this.#mustReadAgain = true;
    for (const wakeUp of this.#wakers) wakeUp();
  }

  /** @returns changes behind a place, and the place up to which they are complete */
  async #readAfter(position: ChangePosition, filter: ChangeFilter) {
    const floor = this.#floor;
    if (!floor) return { changes: [], next: position };
    if (comparePositions(position, floor) >= 0) return this.#readRecent(position);
    const changes = await this.#readTable(position, 'and environment_id = $4', [filter.environmentId]);
    const last = changes.at(-1);
    if (changes.length === READ_MAX && last) return { changes, next: last };
    // All that this environment has up to the floor is read: go on with what is at hand.
    return { changes, next: last && comparePositions(last, floor) > 0 ? last : floor };
  }

  #readRecent(position: ChangePosition) {
    const start = findIndexAfter(this.#recent, position);
    const changes = this.#recent.slice(start, start + BATCH_MAX);
    const isLast = start + changes.length === this.#recent.length;
    const end = isLast ? (this.#head as ChangePosition) : (changes.at(-1) as ChangePosition);
    return { changes, next: comparePositions(end, position) < 0 ? position : end };
  }

  async #readTable(after: ChangePosition, where: string, values: unknown[]): Promise<DeliveryChange[]> {
    const { rows } = await this.#options.pool.query(
      `select ${COLUMNS} from delivery_changes
       where (xid, id) > ($1::xid8, $2::bigint) and ${SETTLED} ${where}
       order by delivery_changes.xid, delivery_changes.id limit $3`,
      [String(after.xid), String(after.id), READ_MAX, ...values],
    );
    return rows.map((row) => ({ ...row, xid: BigInt(row.xid), id: BigInt(row.id) }));
  }
}

function fits(change: DeliveryChange, filter: ChangeFilter): boolean {
  return (
    change.environmentId === filter.environmentId &&
    (filter.eventId === undefined || change.eventId === filter.eventId) &&
    (filter.endpointId === undefined || change.endpointId === filter.endpointId) &&
    (filter.deliveryId === undefined || change.deliveryId === filter.deliveryId) &&
    (filter.statuses === undefined || filter.statuses.includes(change.status))
  );
}

/** Index of the first change behind a place, in an ordered list. */
function findIndexAfter(changes: DeliveryChange[], position: ChangePosition): number {
  let low = 0;
  let high = changes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (comparePositions(changes[middle] as DeliveryChange, position) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
