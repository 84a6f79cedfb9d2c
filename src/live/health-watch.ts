import DataLoader from 'dataloader';
import type { EndpointHealth } from '../domain/endpoint-health.ts';
import type { Log } from '../log.ts';
import { Look } from './look.ts';
import { type LookTaker, SharedWatches } from './shared-watches.ts';

/** Endpoints of one query. */
const BATCH_MAX = 100;

export interface HealthWatchesOptions {
  log: Log;
  /** By the endpoints' UUIDs. */
  readHealth: (endpointIds: readonly string[]) => Promise<Map<string, EndpointHealth>>;
}

/** Tells the health of endpoints, once or to those who watch it: at one interval, all endpoints in one query. */
export class HealthWatches {
  readonly #options: HealthWatchesOptions;
  readonly #watches: SharedWatches<EndpointHealth>;
  /** Remembers nothing. */
  readonly #loader: DataLoader<string, EndpointHealth | null>;

  constructor(options: HealthWatchesOptions) {
    this.#options = options;
    this.#watches = new SharedWatches(options.log);
    const load = async (ids: readonly string[]) => {
      const found = await options.readHealth(ids);
      return ids.map((id) => found.get(id) ?? null);
    };
    this.#loader = new DataLoader(load, { cache: false, maxBatchSize: BATCH_MAX });
  }

  /** Those that are asked for at the same time are read together. @returns null where there is no such endpoint */
  read(endpointId: string): Promise<EndpointHealth | null> {
    return this.#loader.load(endpointId);
  }

  /** Resolves when no query is under way. */
  stop(): Promise<void> {
    return this.#watches.stop();
  }

  /** An endpoint's health at once, and then whenever it changed. Everyone gets the identical object. */
  follow(endpointId: string, intervalSeconds: number): AsyncIterable<EndpointHealth> {
    const key = `health each ${intervalSeconds} s`;
    return this.#watches.follow({ key, id: endpointId, intervalMs: intervalSeconds * 1_000 }, () => this.#take);
  }

  readonly #take: LookTaker<EndpointHealth> = async (previous) => {
    const { readHealth, log } = this.#options;
    const ids = previous?.ids ?? [];
    const found = ids.length === 0 ? new Map<string, EndpointHealth>() : await readHealth(ids);
    const items: [string, EndpointHealth][] = [];
    for (const [id, health] of found) {
      const before = await previous?.itemFor(id);
      items.push([id, before && isSame(before, health) ? before : health]);
    }
    return new Look(items, async (id) => {
      try {
        return await this.read(id);
      } catch (error) {
        log.warn({ endpointId: id, error: (error as Error).message }, 'watch.failed');
        return null;
      }
    });
  };
}

/** The time of the look itself is no change. */
const isSame = (a: EndpointHealth, b: EndpointHealth): boolean => comparable(a) === comparable(b);

const comparable = ({ recent, ...health }: EndpointHealth): string =>
  JSON.stringify({ ...health, recent: { ...recent, from: null, to: null, elapsedSeconds: null } });
