import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ClientBase, Pool } from 'pg';
import { isDatabaseUnavailable, isWithoutEffect } from '../database-errors.ts';
import { encodeId } from '../domain/ids.ts';
import type { Tenant } from '../domain/tenant.ts';
import {
  IdempotencyConflictError,
  InvalidInputError,
  RequestError,
  ServiceUnavailableError,
  UnknownOutcomeError,
} from '../errors.ts';
import type { Log } from '../log.ts';
import type { DeliveryQueue } from '../queue/delivery-queue.ts';
import { findEventsByKey, type KeyedEvent } from '../storage/find-events-by-key.ts';
import type { NewDelivery } from '../storage/insert-deliveries.ts';
import { type EventRow, insertEvents } from '../storage/insert-events.ts';
import { readBodiesById } from '../storage/read-event-bodies.ts';
import type { Signals } from '../storage/signals.ts';
import { inTwoSteps, isFaultOfAll } from '../storage/transaction.ts';
import {
  hasSameHash,
  isSameContent,
  isTargeted,
  makeEvent,
  mayBeSamePayload,
  type PublishInput,
  type TargetedEvent,
} from './event-input.ts';
import { Gatherer } from './gatherer.ts';
import { findTakers, planDeliveries, sendDeliveries } from './plan-deliveries.ts';

/** Calls with so many events have transactions of their own, and hold up no smaller ones. */
const BULK_EVENTS_MIN = 50;
/** Bytes of bodies that are written as JSON in one turn of the event loop. */
const BYTES_PER_TURN = 1_048_576;
/** What may wait to be stored or be under way. More is refused, so that memory does not follow the callers. */
export const PENDING_EVENTS_MAX = 20_000;
const PENDING_BYTES_MAX = 134_217_728;
/** What a caller is told who was refused. */
const RETRY_AFTER_MS = 1_000;

export interface PublishedEvent {
  event: EventRow;
  /** The idempotency key was seen before: `event` is the earlier one, and nothing was stored. */
  duplicate: boolean;
}

export interface PublisherOptions {
  pool: Pool;
  queue: DeliveryQueue;
  signals: Signals;
  log: Log;
}

/** Events that are stored all or none: those of one call. */
interface Group {
  events: EventRow[];
  bytes: number;
  resolve: (published: PublishedEvent[]) => void;
  reject: (error: unknown) => void;
}

/**
 * The way in: events, their deliveries, jobs and changes commit in one transaction. Calls that come while others are
 * being stored are gathered and share the next transaction.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #small: Gatherer<Group>;
  readonly #bulk: Gatherer<Group>;
  /** Waiting or under way. */
  #pending = { events: 0, bytes: 0 };

  constructor(options: PublisherOptions) {
    this.#options = options;
    const flush = (groups: Group[]) => this.#flush(groups);
    this.#small = new Gatherer(flush);
    this.#bulk = new Gatherer(flush);
  }

  /**
   * Stores an event and queues its deliveries. Once this returns, the event is delivered or visibly dead-lettered,
   * whatever fails.
   *
   * @throws {InvalidInputError}
   * @throws {IdempotencyConflictError}
   * @throws {RequestError} RATE_LIMITED, where too many events wait to be stored
   * @throws {ServiceUnavailableError} if the database is away and the event was surely not stored
   * @throws {UnknownOutcomeError} if the database broke off: the event may be stored or not
   */
  async publish(tenant: Tenant, input: PublishInput): Promise<PublishedEvent> {
    const [published] = await this.#submit([makeEvent(tenant, input)]);
    return published as PublishedEvent;
  }

  /** Stores all events or none, in their order. @throws as {@link publish}, paths begin with `events` and the index */
  async publishAll(tenant: Tenant, inputs: PublishInput[]): Promise<PublishedEvent[]> {
    const events: EventRow[] = [];
    let bytesInTurn = 0;
    for (const [index, input] of inputs.entries()) {
      const event = makeEvent(tenant, input, ['events', String(index)]);
      events.push(event);
      bytesInTurn += event.body.length;
      if (bytesInTurn < BYTES_PER_TURN) continue;
      bytesInTurn = 0;
      await nextTurn();
    }
    refuseContradictions(events);
    return this.#submit(events);
  }

  async #submit(events: EventRow[]): Promise<PublishedEvent[]> {
    const bytes = events.reduce((sum, { body }) => sum + body.length, 0);
    const pending = this.#pending;
    if (pending.events + events.length > PENDING_EVENTS_MAX || pending.bytes + bytes > PENDING_BYTES_MAX) {
      throw new RequestError(
        'RATE_LIMITED',
        'Too many events wait to be stored. Try again in a second.',
        RETRY_AFTER_MS,
      );
    }
    pending.events += events.length;
    pending.bytes += bytes;
    try {
      return await this.#gather(events, bytes);
    } finally {
      pending.events -= events.length;
      pending.bytes -= bytes;
    }
  }

  #gather(events: EventRow[], bytes: number): Promise<PublishedEvent[]> {
    const gatherer = events.length < BULK_EVENTS_MIN ? this.#small : this.#bulk;
    return new Promise((resolve, reject) => gatherer.add({ events, bytes, resolve, reject }));
  }

  /** A group that is refused or can't be written takes the transaction with it; the others are stored by the next one. */
  async #flush(groups: Group[]): Promise<void> {
    try {
      const stored = await this.#store(groups);
      this.#announce(groups, stored);
    } catch (error) {
      if (error instanceof RefusedGroups) return this.#flushWithout(groups, error.refused);
      if (isFaultOfAll(error)) for (const group of groups) group.reject(describeOutage(error));
      else if (groups.length === 1) groups[0]?.reject(error);
      else for (const group of groups) await this.#flush([group]);
    }
  }

  /**
   * A group that is not valid, or conflicts with an event stored before, is answered. One that conflicts with a group of
   * its own transaction, which is not stored now, has to wait until that one is.
   */
  async #flushWithout(groups: Group[], refused: Map<Group, Refusal>): Promise<void> {
    const own = new Set(groups.flatMap((group) => group.events.map((event) => event.id)));
    const mayStand = (error: Refusal) => error instanceof InvalidInputError || !own.has(error.eventId);
    const final = [...refused].filter(([, error]) => mayStand(error));
    for (const [group, error] of final) group.reject(error);
    const isFinal = new Set(final.map(([group]) => group));
    const rest = groups.filter((group) => !isFinal.has(group));
    const accepted = rest.filter((group) => !refused.has(group));
    if (accepted.length === 0) {
      for (const group of rest) await this.#flush([group]);
      return;
    }
    await this.#flush(accepted);
    const waiting = rest.filter((group) => refused.has(group));
    if (waiting.length > 0) await this.#flush(waiting);
  }

  #store(groups: Group[]): Promise<Map<string, PublishedEvent>> {
    const events = groups.flatMap((group) => group.events);
    return inTwoSteps(this.#options.pool, {
      read: (client) => findTakers(client, events),
      write: (client, takers) => {
        const deliveries = planDeliveries(events, takers);
        const hasKeys = events.some((event) => event.idempotencyKey !== null);
        return hasKeys ? this.#writeKeyed(client, groups, deliveries) : this.#write(client, groups, deliveries);
      },
    });
  }

  /** Without keys nothing can be left out, so everything is sent at once. */
  async #write(client: ClientBase, groups: Group[], deliveries: NewDelivery[]) {
    refuseAstray(groups, () => true);
    const events = groups.flatMap((group) => group.events);
    const sent = await sendDeliveries(client, this.#options.queue, deliveries);
    const stored = new Map(events.map((event) => [event.id, { event, duplicate: false }]));
    return { done: Promise.all([insertEvents(client, events), sent.done]).then(() => stored) };
  }

  /** Which events are new is known only when they are inserted. */
  async #writeKeyed(client: ClientBase, groups: Group[], deliveries: NewDelivery[]) {
    const events = groups.flatMap((group) => group.events);
    const inserted = await insertEvents(client, events);
    const stored = new Map<string, PublishedEvent>();
    for (const event of events) if (inserted.has(event.id)) stored.set(event.id, { event, duplicate: false });
    if (inserted.size < events.length) await findDuplicates(client, groups, stored);
    refuseAstray(groups, ({ id }) => inserted.has(id));
    const isNew = ({ eventId }: NewDelivery) => inserted.has(eventId);
    const sent = await sendDeliveries(client, this.#options.queue, deliveries.filter(isNew));
    return { done: sent.done.then(() => stored) };
  }

  #announce(groups: Group[], stored: Map<string, PublishedEvent>) {
    this.#options.signals.send('posthorn_jobs', 'posthorn_changes');
    for (const group of groups) {
      const published = group.events.map((event) => stored.get(event.id) as PublishedEvent);
      for (const one of published) this.#log(one);
      group.resolve(published);
    }
  }

  #log({ event, duplicate }: PublishedEvent) {
    this.#options.log.info(
      {
        eventId: encodeId('Event', event.id),
        environmentId: encodeId('Environment', event.environmentId),
        eventType: event.type,
        bodyBytes: event.body.length,
        endpointCount: event.endpointCount,
        duplicate,
      },
      'event.published',
    );
  }
}

/** @returns what a caller is told if the database could not store its events */
const describeOutage = (error: unknown) =>
  isDatabaseUnavailable(error) && isWithoutEffect(error)
    ? new ServiceUnavailableError(error)
    : new UnknownOutcomeError(error);

/** One call must not use a key for two different events. @throws {InvalidInputError} */
function refuseContradictions(events: EventRow[]) {
  const byKey = new Map<string, EventRow>();
  for (const [index, event] of events.entries()) {
    if (event.idempotencyKey === null) continue;
    const first = byKey.get(event.idempotencyKey);
    if (first && !isSameContent(first, event)) {
      const message = 'is used twice in this call, for events with different content.';
      throw new InvalidInputError([{ path: ['events', String(index), 'idempotencyKey'], message }]);
    }
    byKey.set(event.idempotencyKey, event);
  }
}

/** An idempotency key belongs to an event with other content, or an endpoint that is named is not there. */
type Refusal = IdempotencyConflictError | InvalidInputError;

/** Groups that must not be stored. */
class RefusedGroups extends Error {
  readonly refused: Map<Group, Refusal>;

  constructor(refused: Map<Group, Refusal>) {
    super('Some groups were refused.');
    this.refused = refused;
  }
}

/**
 * Finds the earlier events behind keys that were taken.
 *
 * @throws {RefusedGroups} where one of them has other content
 */
async function findDuplicates(client: ClientBase, groups: Group[], published: Map<string, PublishedEvent>) {
  const missing = groups.flatMap((group) => group.events).filter((event) => !published.has(event.id));
  const earlier = await findEventsByKey(client, missing);
  const bodies = await readOtherBodies(client, missing, earlier);
  const refused = new Map<Group, IdempotencyConflictError>();
  for (const group of groups) {
    for (const event of group.events) {
      if (published.has(event.id)) continue;
      const found = earlier.get(`${event.environmentId} ${event.idempotencyKey}`);
      // Retention deletes it at this moment: made again, this transaction finds the key free.
      if (!found) throw Object.assign(new Error('An idempotency key is taken by an event that goes.'), CONFLICT);
      // Without another body, that of an equal hash is the one that was sent.
      const held = { ...found, body: bodies.get(found.id) ?? event.body };
      if (isSameContent(held, event)) published.set(event.id, { event: held, duplicate: true });
      else if (!refused.has(group)) refused.set(group, new IdempotencyConflictError(found.id));
    }
  }
  if (refused.size > 0) throw new RefusedGroups(refused);
}

/** Reads the bodies of events that hold a key and have another hash, as far as they may be equal payloads all the same. */
async function readOtherBodies(client: ClientBase, events: EventRow[], earlier: Map<string, KeyedEvent>) {
  const others = events.flatMap((event) => {
    const found = earlier.get(`${event.environmentId} ${event.idempotencyKey}`);
    return found && mayBeSamePayload(event) && !hasSameHash(found, event) ? [found.id] : [];
  });
  return others.length === 0 ? new Map<string, Buffer<ArrayBuffer>>() : readBodiesById(client, others);
}

/**
 * Refuses groups with events that name an endpoint which is not there. An event that was stored before is answered as it
 * is, whatever became of its endpoint.
 *
 * @throws {RefusedGroups}
 */
function refuseAstray(groups: Group[], isStoredNow: (event: EventRow) => boolean) {
  const refused = new Map<Group, Refusal>();
  for (const group of groups) {
    const astray = group.events.filter(isTargeted).filter((event) => event.endpointCount === 0 && isStoredNow(event));
    if (astray.length > 0) refused.set(group, new InvalidInputError(astray.map(makeIssue)));
  }
  if (refused.size > 0) throw new RefusedGroups(refused);
}

const makeIssue = ({ target }: TargetedEvent) => ({
  path: target.path,
  message: 'There is no endpoint with this ID in the environment. Give one that is there, or leave it out.',
});

/** serialization_failure: the transaction is made again. */
const CONFLICT = { code: '40001' };
