/**
 * Lets so many through in one turn of the event loop. A result that a thousand subscribers wait for would otherwise
 * keep everything else waiting until it is written to all of them.
 */
export class Turnstile {
  readonly #perTurn: number;
  #waiting: (() => void)[] = [];

  constructor(perTurn: number) {
    this.#perTurn = perTurn;
  }

  /** Resolves in one of the next turns, in the order of the calls. */
  pass(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) setImmediate(() => this.#turn());
    });
  }

  #turn() {
    for (const resolve of this.#waiting.splice(0, this.#perTurn)) resolve();
    if (this.#waiting.length > 0) setImmediate(() => this.#turn());
  }
}

/** Entries of a list that are resolved in one turn of the event loop. */
const ENTRIES_PER_TURN = 50;
const entries = new Turnstile(ENTRIES_PER_TURN);

/** Lets the entries of a long list be resolved some at a time, however much is selected of each. */
export const spreadOverTurns = <T>(list: readonly T[]): readonly (T | Promise<T>)[] =>
  list.length <= ENTRIES_PER_TURN ? list : list.map((entry) => entries.pass().then(() => entry));
