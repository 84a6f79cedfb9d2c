import { encodeId } from '../domain/ids.ts';
import type { Log } from '../log.ts';
import type { SavedTransition } from '../storage/save-transitions.ts';
import type { RecorderEntry } from './recorder.ts';
import { OUTCOME_FORMS, type OutcomeForm, toForm } from './writable-outcome.ts';

/** Outcomes that wait here at most. If there are more, the oldest are given up: their deliveries are attempted again. */
export const SET_ASIDE_MAX = 1_000;
/** Transactions under way at once: one that waits for a lock does not delay the others here. */
const WRITES_MAX = 2;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 60_000;

/** An outcome that its recipient waits for. */
export interface WaitingOutcome {
  entry: RecorderEntry;
  resolve: (saved: SavedTransition | null) => void;
  reject: (error: Error) => void;
}

export interface SetAsideOptions {
  log: Log;
  /** Writes one outcome in a transaction of its own. */
  write: (entry: RecorderEntry) => Promise<SavedTransition | null>;
  /** Whether an error may come from what is written. */
  isFaultOfEntry: (error: unknown) => boolean;
}

interface Item extends WaitingOutcome {
  form: OutcomeForm;
  waitMs: number;
  dueAt: number;
}

/**
 * Outcomes that could not be written, for whatever reason: a character or number that the database does not take, a constraint,
 * a trigger, a lock that somebody holds. Here they are tried again by themselves, first with replaced texts, then without
 * them, then from time to time. Nobody else waits for them.
 */
export class SetAsideOutcomes {
  readonly #options: SetAsideOptions;
  readonly #items = new Set<Item>();
  readonly #underWay = new Set<Item>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: SetAsideOptions) {
    this.#options = options;
  }

  /** Whether so many more can be set aside without giving up others. */
  hasRoomFor(count: number): boolean {
    return this.#items.size + count <= SET_ASIDE_MAX;
  }

  /** @param error why it could not be written */
  add(outcome: WaitingOutcome, error: unknown): void {
    const form = this.#options.isFaultOfEntry(error) ? 'plain' : 'whole';
    this.#log(outcome, error, 'recorder.outcome_set_aside');
    outcome.entry.onSetAside?.();
    this.#items.add({ ...outcome, form, waitMs: RETRY_MS_MIN, dueAt: 0 });
    const [oldest] = this.#items;
    if (oldest && this.#items.size > SET_ASIDE_MAX) this.#giveUp(oldest, new Error('Too many outcomes are set aside.'));
    this.#start();
  }

  /** Gives up outcomes that can't be written at once. Their deliveries are attempted again. */
  stop(): void {
    this.#isStopped = true;
    this.#start();
  }

  #start() {
    clearTimeout(this.#timer);
    const now = performance.now();
    for (const item of this.#items) {
      if (this.#underWay.size >= WRITES_MAX) return;
      if (!this.#underWay.has(item) && (item.dueAt <= now || this.#isStopped)) void this.#write(item);
    }
    const next = Math.min(...[...this.#items].filter((item) => !this.#underWay.has(item)).map(({ dueAt }) => dueAt));
    if (Number.isFinite(next)) this.#timer = setTimeout(() => this.#start(), Math.max(0, next - now));
  }

  async #write(item: Item) {
    this.#underWay.add(item);
    const { entry, form } = item;
    try {
      const saved = await this.#options.write({ ...entry, transition: toForm(entry.transition, form) });
      this.#items.delete(item);
      if (form !== 'whole') this.#log(item, `stored in the form ${form}`, 'recorder.outcome_changed');
      item.resolve(saved);
    } catch (error) {
      this.#postpone(item, error);
    } finally {
      this.#underWay.delete(item);
      this.#start();
    }
  }

  #postpone(item: Item, error: unknown) {
    const next = OUTCOME_FORMS[OUTCOME_FORMS.indexOf(item.form) + 1];
    if (next && this.#options.isFaultOfEntry(error)) {
      item.form = next;
      return;
    }
    if (this.#isStopped) return this.#giveUp(item, error as Error);
    item.dueAt = performance.now() + item.waitMs;
    item.waitMs = Math.min(item.waitMs * 2, RETRY_MS_MAX);
    this.#log(item, error, 'recorder.outcome_failed');
  }

  #giveUp(item: Item, error: Error) {
    this.#items.delete(item);
    item.reject(error);
  }

  #log({ entry }: WaitingOutcome, reason: unknown, event: string) {
    const error = reason instanceof Error ? reason.message : String(reason);
    this.#options.log.error({ deliveryId: encodeId('Delivery', entry.deliveryId), error }, event);
  }
}
