import { hkdfSync, type KeyObject } from 'node:crypto';

const KEY_BYTES = 32;

/**
 * Keys for one purpose, one from each encryption key in their order, by HKDF (RFC 5869). All processes of a deployment
 * derive the same.
 */
export const deriveKeys = (encryptionKeys: readonly KeyObject[], purpose: string): Uint8Array[] =>
  encryptionKeys.map((key) => new Uint8Array(hkdfSync('sha256', key, '', `posthorn ${purpose}`, KEY_BYTES)));

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
