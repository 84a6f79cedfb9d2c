/**
 * What a watch saw at one moment: an item for each ID that somebody follows. An item is made once, so everyone gets the
 * identical object.
 */
export class Look<Item> {
  readonly #items = new Map<string, Promise<Item | null>>();
  readonly #asked = new Set<string>();
  readonly #readMissing: (id: string) => Promise<Item | null>;

  /** @param readMissing makes the item of an ID that nobody followed when the look was taken; null: there is none */
  constructor(items: Iterable<[string, Item]>, readMissing: (id: string) => Promise<Item | null>) {
    for (const [id, item] of items) this.#items.set(id, Promise.resolve(item));
    this.#readMissing = readMissing;
  }

  /** The item of an ID. Where reading it fails, everyone waits for the next look. */
  itemFor(id: string): Promise<Item | null> {
    this.#asked.add(id);
    let item = this.#items.get(id);
    if (!item) {
      item = this.#readMissing(id);
      this.#items.set(id, item);
    }
    return item;
  }

  /** IDs that somebody asked for: the next look is to have their items. */
  get ids(): string[] {
    return [...this.#asked];
  }
}
