/**
 * Tries each key in turn.
 *
 * @returns what the first key that fits gives; null: none fits
 */
export async function tryEach<Key, T>(keys: readonly Key[], open: (key: Key) => Promise<T | null>): Promise<T | null> {
  for (const key of keys) {
    const opened = await open(key);
    if (opened !== null) return opened;
  }
  return null;
}
