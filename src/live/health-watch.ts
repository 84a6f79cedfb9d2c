import DataLoader from 'dataloader';
import { logFailure } from '../database-outage.ts';
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
    this.#watches = new SharedWatches(options.log, versionOf);
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
    return new Look(found, async (id) => {
      try {
        return await this.read(id);
      } catch (error) {
        logFailure(log, { level: 'warn', error, endpointId: id }, 'watch.failed');
        return null;
      }
    });
  };
}

const versions = new WeakMap<EndpointHealth, string>();

/** All that is known, but for the time of the look itself, which is no change. Made once for all who follow. */
function versionOf(item: EndpointHealth): string {
  const { recent, ...health } = item;
  const version =
    versions.get(item) ??
    JSON.stringify({ ...health, recent: { ...recent, from: null, to: null, elapsedSeconds: null } });
  versions.set(item, version);
  return version;
}
