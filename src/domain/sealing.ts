import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
/** NIST SP 800-38D, section 8.2: 96 bits. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** First byte of what is sealed, so that another form can follow one day. */
const VERSION = 1;

/** Seals a text for storage with AES-256-GCM: version, nonce, tag, ciphertext. @param key of 32 bytes */
export function seal(text: string, key: KeyObject): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, nonce);
  const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), ciphertext]);
}

/**
 * Opens what {@link seal} made.
 *
 * @throws where the key is another one, or the bytes were changed
 */
export function unseal(sealed: Uint8Array, key: KeyObject): string {
  if (sealed[0] !== VERSION) throw new Error(`Sealed value of unknown version ${sealed[0]}.`);
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const tag = sealed.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES);
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(tag);
  const opened = Buffer.concat([decipher.update(sealed.subarray(1 + NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  return opened.toString('utf8');
}
