import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT_KEY } from './machine.ts';

/** One call of a publisher, with all its events or none. */
export interface Call {
  /** Stands in the payload of each of its events. */
  name: string;
  size: number;
  isKeyed: boolean;
  /** IDs of the events, once it was answered; null: it never was, and nobody knows. */
  acknowledged: string[] | null;
}

interface Kind {
  size: number;
  isKeyed: boolean;
  /** Rest between two calls. */
  restMs: number;
}

/** Singles, and batches on either side of the size that has transactions of its own. */
const KINDS: Kind[] = [
  { size: 1, isKeyed: false, restMs: 50 },
  { size: 1, isKeyed: false, restMs: 120 },
  { size: 1, isKeyed: true, restMs: 50 },
  { size: 1, isKeyed: true, restMs: 120 },
  { size: 5, isKeyed: false, restMs: 400 },
  { size: 5, isKeyed: true, restMs: 400 },
  { size: 60, isKeyed: true, restMs: 3_000 },
  { size: 60, isKeyed: false, restMs: 3_000 },
];

/** A caller that hears nothing for so long gives up, and calls again where it has a key. */
const TIMEOUT_MS = 10_000;
const RETRY_MS = 100;
/** Callers with keys go on for so long after they were told to stop. */
const LAST_TRIES_MS = 60_000;

const QUERY = `mutation ($events: [PublishEventInput!]!) { publishEvents(input: { events: $events }) {
  ... on PublishEventsPayload { results { event { id } } } ... on Error { message } } }`;
const SINGLE = `mutation ($event: PublishEventInput!) { publishEvent(input: $event) {
  ... on PublishEventPayload { event { id } } ... on Error { message } } }`;

/** Publishers that go on whatever happens. Those with idempotency keys call again until they are answered. */
export class Publishers {
  readonly calls: Call[] = [];
  /** Answers that were refusals, which nothing here should bring about. */
  readonly refusals: string[] = [];
  readonly #nextUrl: () => string;
  #number = 0;
  #stoppedAt: number | null = null;
  #done: Promise<unknown> = Promise.resolve();

  /** @param nextUrl of the API to call next */
  constructor(nextUrl: () => string) {
    this.#nextUrl = nextUrl;
  }

  /** Events that were acknowledged. */
  get acknowledgedCount(): number {
    return this.calls.reduce((sum, call) => sum + (call.acknowledged?.length ?? 0), 0);
  }

  start(): void {
    this.#done = Promise.all(KINDS.map((kind) => this.#publishOn(kind)));
  }

  /** Resolves when all callers with keys were answered. */
  async stop(): Promise<void> {
    this.#stoppedAt = performance.now();
    await this.#done;
  }

  /** No call is made any more. */
  abandon(): void {
    this.#stoppedAt = Number.NEGATIVE_INFINITY;
  }

  async #publishOn(kind: Kind) {
    while (this.#stoppedAt === null) {
      await this.#publish(kind);
      await sleep(kind.restMs);
    }
  }

  async #publish({ size, isKeyed }: Kind) {
    const name = `call-${this.calls.length}`;
    const call: Call = { name, size, isKeyed, acknowledged: null };
    this.calls.push(call);
    const events = Array.from({ length: size }, (_, index) => {
      this.#number += 1;
      const payload = { call: name, number: this.#number };
      return { type: 'fault.happened', payload, ...(isKeyed && { idempotencyKey: `${name}-${index}` }) };
    });
    do {
      call.acknowledged = await this.#call(events).catch(() => null);
      if (call.acknowledged === null) await sleep(RETRY_MS);
    } while (call.acknowledged === null && isKeyed && this.#mayTry());
  }

  #mayTry = () => this.#stoppedAt === null || performance.now() - this.#stoppedAt < LAST_TRIES_MS;

  /** @returns null: it failed, and nobody knows whether anything was stored */
  async #call(events: object[]): Promise<string[] | null> {
    const isSingle = events.length === 1;
    const body = isSingle
      ? { query: SINGLE, variables: { event: events[0] } }
      : { query: QUERY, variables: { events } };
    const response = await fetch(`${this.#nextUrl()}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${ROOT_KEY}` },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    // biome-ignore lint/suspicious/noExplicitAny: the shape stands in the queries above
    const { data, errors } = (await response.json()) as any;
    if (errors) return null;
    const result = isSingle ? data.publishEvent : data.publishEvents;
    if (result.message) this.refusals.push(result.message);
    const results = isSingle ? [result] : (result.results ?? []);
    // biome-ignore lint/suspicious/noExplicitAny: as above
    return results.map(({ event }: any) => event?.id);
  }
}
