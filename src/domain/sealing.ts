import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
/** NIST SP 800-38D, section 8.2: 96 bits. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** First byte of what is sealed. Version 1 does not name its key; it is read, and no longer written. */
const VERSION_WITHOUT_KEY_ID = 1;
const VERSION = 2;
/** Enough to tell a handful of keys apart. */
const KEY_ID_BYTES = 4;
/** Length of a derived key. */
const DERIVED_KEY_BYTES = 32;
/** Length of the bytes that a key's sealed values begin with: version and key ID. */
export const SEAL_PREFIX_BYTES = 1 + KEY_ID_BYTES;

/** A value is sealed with a key that this process does not have. */
export class UnknownKeyError extends Error {
  override readonly name = 'UnknownKeyError';

  constructor(keyId: string | null) {
    super(
      `A stored secret is sealed with an encryption key that this process does not have (${keyId ? `key ID ${keyId}` : 'of a time before key IDs'}). ` +
        'Start it with that key, as POSTHORN_ENCRYPTION_KEY or among POSTHORN_OLD_ENCRYPTION_KEYS.',
    );
  }
}

interface Key {
  object: KeyObject;
  /** Of version and key ID. */
  prefix: Buffer;
}

/** The keys that secrets are sealed with at rest: the current one seals, and those before it still open. */
export class Keyring {
  readonly #current: Key;
  readonly #byId: ReadonlyMap<string, Key>;

  /** @param current of 32 bytes, as are the old ones */
  constructor(current: Uint8Array, old: Uint8Array[] = []) {
    this.#current = toKey(current);
    this.#byId = new Map([this.#current, ...old.map(toKey)].map((key) => [idOf(key.prefix), key]));
  }

  /** In hexadecimal. Says nothing of the key itself. */
  get currentKeyId(): string {
    return idOf(this.#current.prefix);
  }

  /** What sealed values begin with that these keys open, the current key's first. */
  get prefixes(): Buffer[] {
    return [...this.#byId.values()].map(({ prefix }) => prefix);
  }

  /** Seals a text for storage with AES-256-GCM: version, key ID, nonce, tag, ciphertext. */
  seal(text: string): Buffer {
    const { object, prefix } = this.#current;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, object, nonce).setAAD(prefix);
    const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([prefix, nonce, cipher.getAuthTag(), ciphertext]);
  }

  /**
   * Opens what {@link seal} made.
   *
   * @throws {UnknownKeyError}
   * @throws where the bytes were changed
   */
  open(sealed: Uint8Array): string {
    if (sealed[0] === VERSION_WITHOUT_KEY_ID) return this.#openWithoutKeyId(sealed);
    if (sealed[0] !== VERSION) throw new Error(`Sealed value of unknown version ${sealed[0]}.`);
    const prefix = sealed.subarray(0, SEAL_PREFIX_BYTES);
    const key = this.#byId.get(idOf(prefix));
    if (!key) throw new UnknownKeyError(idOf(prefix));
    return decipher(key.object, sealed.subarray(SEAL_PREFIX_BYTES), prefix);
  }

  /**
   * Keys for another purpose by HKDF (RFC 5869), one from each of these, the current one's first. All processes of a
   * deployment derive the same.
   */
  derive(purpose: string): Uint8Array[] {
    return [...this.#byId.values()].map(
      ({ object }) => new Uint8Array(hkdfSync('sha256', object, '', `posthorn ${purpose}`, DERIVED_KEY_BYTES)),
    );
  }

  /** Any of the keys may have sealed it. */
  #openWithoutKeyId(sealed: Uint8Array): string {
    for (const { object } of this.#byId.values()) {
      try {
        return decipher(object, sealed.subarray(1), null);
      } catch {
        // Not this key, or none: the end of the loop tells.
      }
    }
    throw new UnknownKeyError(null);
  }
}

function decipher(key: KeyObject, sealed: Uint8Array, prefix: Uint8Array | null): string {
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  if (prefix) decipher.setAAD(prefix);
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8');
}

function toKey(bytes: Uint8Array): Key {
  const object = createSecretKey(bytes);
  const id = createHmac('sha256', object).update('posthorn key id').digest().subarray(0, KEY_ID_BYTES);
  return { object, prefix: Buffer.concat([Buffer.of(VERSION), id]) };
}

const idOf = (prefix: Uint8Array): string => Buffer.from(prefix.subarray(1)).toString('hex');
