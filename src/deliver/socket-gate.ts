import { readFile } from 'node:fs/promises';

/** With so many descriptors, all attempts that a process may have under way have one each. */
const PLENTY = 8_192;
/** Of few descriptors, deliveries get half: the others are for the database, callers and files. */
const SHARE = 0.5;
/** One endpoint gets an eighth of them, so that endpoints that stall leave some to others. */
const ENDPOINT_SHARE = 0.125;
const ENDPOINT_MIN = 2;

/**
 * How many sockets deliveries may have open at once, from the limit of open files of this process.
 *
 * @returns null: any number. The limit is high enough, or unknown (it is read on Linux only)
 */
export async function readSocketsMax(): Promise<number | null> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
  return soft > 0 && soft < PLENTY ? Math.max(1, Math.floor(soft * SHARE)) : null;
}

interface Waiting {
  endpointId: string;
  enter: () => void;
}

/** Lets so many attempts have a socket at once, the first come first, and bounds those of one endpoint. */
export class SocketGate {
  readonly #free = new Map<string, number>();
  readonly #perEndpoint: number;
  #left: number;
  #waiting: Waiting[] = [];

  /** @param max sockets */
  constructor(max: number) {
    this.#left = max;
    this.#perEndpoint = Math.max(ENDPOINT_MIN, Math.floor(max * ENDPOINT_SHARE));
  }

  /** Waits for a socket, then runs work with it. */
  async pass<T>(endpointId: string, work: () => Promise<T>): Promise<T> {
    if (this.#mayEnter(endpointId)) this.#enter(endpointId);
    else await new Promise<void>((enter) => this.#waiting.push({ endpointId, enter }));
    try {
      return await work();
    } finally {
      this.#leave(endpointId);
    }
  }

  #mayEnter = (endpointId: string) => this.#left > 0 && (this.#free.get(endpointId) ?? this.#perEndpoint) > 0;

  #enter(endpointId: string) {
    this.#left -= 1;
    this.#free.set(endpointId, (this.#free.get(endpointId) ?? this.#perEndpoint) - 1);
  }

  #leave(endpointId: string) {
    const free = (this.#free.get(endpointId) ?? 0) + 1;
    if (free >= this.#perEndpoint) this.#free.delete(endpointId);
    else this.#free.set(endpointId, free);
    this.#left += 1;
    const index = this.#waiting.findIndex((waiting) => this.#mayEnter(waiting.endpointId));
    const [next] = index < 0 ? [] : this.#waiting.splice(index, 1);
    if (!next) return;
    this.#enter(next.endpointId);
    next.enter();
  }
}
