import { LRUCache } from 'lru-cache';

/** An endpoint whose last so many attempts all failed is failing: it gets a lane of its own, and one attempt at a time. */
export const FAILING_AFTER = 20;
const ENDPOINTS_MAX = 10_000;

/** Counts, for each endpoint, the attempts that failed one after the other, as far as this process made them. */
export class FailureStreaks {
  readonly #lengths = new LRUCache<string, number>({ max: ENDPOINTS_MAX });

  note(endpointId: string, hasFailed: boolean): void {
    if (hasFailed) this.#lengths.set(endpointId, (this.#lengths.get(endpointId) ?? 0) + 1);
    else this.#lengths.delete(endpointId);
  }

  isFailing(endpointId: string): boolean {
    return (this.#lengths.get(endpointId) ?? 0) >= FAILING_AFTER;
  }
}
