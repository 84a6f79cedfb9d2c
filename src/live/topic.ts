import type { DeliveryStatus } from '../domain/delivery.ts';
import type { DeliveryChange } from './change-log.ts';
import { type ChangePosition, encodeCursor } from './cursor.ts';
import type { Subscriber } from './subscriber.ts';

/** Which changes a subscriber wants: all that is given must fit. IDs are UUIDs. */
export interface ChangeFilter {
  environmentId: string;
  eventId?: string;
  endpointId?: string;
  deliveryId?: string;
  statuses?: readonly DeliveryStatus[];
  /** Tell only the latest change of each delivery within so long a time; left out: every change. */
  coalesceMs?: number;
}

/** Changes that were read together. Who asks the same of one round is answered with the same work. */
export interface Round {
  /** Place up to which its changes are complete. */
  head: ChangePosition;
  /** What comes behind that place was not made before. */
  at: Date;
}

/** What a subscriber is told at once. All subscribers of a topic are given the same object. */
export interface ChangeBatch {
  /** In commit order; empty where nothing happened for long, and the cursor would grow old. */
  changes: DeliveryChange[];
  /** All up to here is told. */
  position: ChangePosition;
  /** Of that place, for clients. */
  cursor: string;
  round: Round;
}

/** A coalescing topic tells what it has before its time when it has so much. */
const WINDOW_CHANGES_MAX = 1_000;

/** Subscribers that want the same, and so are told the same. */
export class Topic {
  readonly filter: ChangeFilter;
  readonly subscribers = new Set<Subscriber>();
  /** When its subscribers were last told something, by the monotonic clock. */
  toldAt = performance.now();
  /** What is coalesced: the latest change of each delivery, in commit order. */
  readonly #window = new Map<string, DeliveryChange>();
  #flushedAt = Number.NEGATIVE_INFINITY;
  #windowRound: Round | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(filter: ChangeFilter) {
    this.filter = filter;
  }

  /** Takes the changes of a round that fit. */
  add(changes: DeliveryChange[], round: Round): void {
    const { coalesceMs } = this.filter;
    if (coalesceMs === undefined) this.tell(changes, round);
    else this.#coalesce(changes, round, coalesceMs);
  }

  /** Tells subscribers now. */
  tell(changes: DeliveryChange[], round: Round): void {
    this.toldAt = performance.now();
    const batch = makeBatch(this.filter, changes, round);
    for (const subscriber of this.subscribers) subscriber.offer(batch);
  }

  /** Ends the subscriptions with CURSOR_EXPIRED. */
  expire(): void {
    this.#window.clear();
    for (const subscriber of this.subscribers) subscriber.expire();
  }

  /** Nobody listens any more. */
  close(): void {
    clearTimeout(this.#timer);
  }

  #coalesce(changes: DeliveryChange[], round: Round, coalesceMs: number) {
    addLatest(this.#window, changes);
    this.#windowRound = round;
    const waitMs = this.#flushedAt + coalesceMs - performance.now();
    if (waitMs <= 0 || this.#window.size >= WINDOW_CHANGES_MAX) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), waitMs);
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushedAt = performance.now();
    const changes = [...this.#window.values()];
    this.#window.clear();
    this.tell(changes, this.#windowRound as Round);
  }
}

/** Makes a batch. @param round up to whose head everything that fits the filter is in it, or was told before */
export function makeBatch({ environmentId }: ChangeFilter, changes: DeliveryChange[], round: Round): ChangeBatch {
  const { head, at } = round;
  return { changes, position: head, round, cursor: encodeCursor({ ...head, environmentId, at }) };
}

/** The changes that fit a filter, and of those the latest of each delivery where it coalesces. */
export function select(changes: DeliveryChange[], filter: ChangeFilter): DeliveryChange[] {
  const fitting = changes.filter((change) => fits(change, filter));
  if (filter.coalesceMs === undefined) return fitting;
  const latest = new Map<string, DeliveryChange>();
  addLatest(latest, fitting);
  return [...latest.values()];
}

function addLatest(latest: Map<string, DeliveryChange>, changes: DeliveryChange[]) {
  for (const change of changes) {
    // Taken out first, so that it stands in its new place.
    latest.delete(change.deliveryId);
    latest.set(change.deliveryId, change);
  }
}

const fits = (change: DeliveryChange, filter: ChangeFilter): boolean =>
  change.environmentId === filter.environmentId &&
  (filter.eventId === undefined || change.eventId === filter.eventId) &&
  (filter.endpointId === undefined || change.endpointId === filter.endpointId) &&
  (filter.deliveryId === undefined || change.deliveryId === filter.deliveryId) &&
  (filter.statuses === undefined || filter.statuses.includes(change.status));

/** The topics that somebody listens to, found by what a change is about. */
export class TopicIndex {
  readonly #byKey = new Map<string, Topic>();
  /** By the narrowest ID of their filters. */
  readonly #byScope = new Map<string, Set<Topic>>();
  /** How many topics each environment has. */
  readonly #environments = new Map<string, number>();

  get topics(): Iterable<Topic> {
    return this.#byKey.values();
  }

  get environmentIds(): string[] {
    return [...this.#environments.keys()];
  }

  /** The topic of a filter; made where there is none. */
  open(filter: ChangeFilter): Topic {
    const key = topicKey(filter);
    const existing = this.#byKey.get(key);
    if (existing) return existing;
    const topic = new Topic(filter);
    this.#byKey.set(key, topic);
    const scope = scopeOf(filter);
    this.#byScope.set(scope, (this.#byScope.get(scope) ?? new Set()).add(topic));
    const { environmentId } = filter;
    this.#environments.set(environmentId, (this.#environments.get(environmentId) ?? 0) + 1);
    return topic;
  }

  /** Forgets a topic that has no subscribers. */
  close(topic: Topic): void {
    topic.close();
    this.#byKey.delete(topicKey(topic.filter));
    const scope = scopeOf(topic.filter);
    const topics = this.#byScope.get(scope);
    topics?.delete(topic);
    if (topics?.size === 0) this.#byScope.delete(scope);
    const { environmentId } = topic.filter;
    const left = (this.#environments.get(environmentId) ?? 1) - 1;
    if (left > 0) this.#environments.set(environmentId, left);
    else this.#environments.delete(environmentId);
  }

  /** Gives each topic the changes of a round that fit it. @returns how many subscribers have something new */
  distribute(changes: DeliveryChange[], round: Round): number {
    const byTopic = new Map<Topic, DeliveryChange[]>();
    for (const change of changes) {
      for (const topic of this.#findTopics(change)) {
        const fitting = byTopic.get(topic);
        if (fitting) fitting.push(change);
        else byTopic.set(topic, [change]);
      }
    }
    let subscribers = 0;
    for (const [topic, fitting] of byTopic) {
      topic.add(fitting, round);
      subscribers += topic.subscribers.size;
    }
    return subscribers;
  }

  *#findTopics(change: DeliveryChange): Generator<Topic> {
    for (const scope of [change.deliveryId, change.eventId, change.endpointId, change.environmentId]) {
      for (const topic of this.#byScope.get(scope) ?? []) if (fits(change, topic.filter)) yield topic;
    }
  }
}

const scopeOf = ({ environmentId, endpointId, eventId, deliveryId }: ChangeFilter): string =>
  deliveryId ?? eventId ?? endpointId ?? environmentId;

/** Tells one filter from another. */
export const topicKey = ({ environmentId, endpointId, eventId, deliveryId, statuses, coalesceMs }: ChangeFilter) =>
  JSON.stringify([environmentId, endpointId, eventId, deliveryId, statuses?.toSorted(), coalesceMs]);
