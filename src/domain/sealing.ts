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
/**
 * First byte of an encrypted value. Version 1 does not name its key, and version 2 is not bound to its place. Both are
 * read, and no longer written.
 */
const VERSION_WITHOUT_KEY_ID = 1;
const VERSION_WITHOUT_PLACE = 2;
const VERSION = 3;
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

/** Where an encrypted value is stored. It can be decrypted only there. */
export interface EncryptedPlace {
  table: string;
  column: string;
  /** UUID of the row. */
  id: string;
}

/** A value cannot be decrypted with its key: its bytes were changed, or it was moved from another row or column. */
export class UnreadableValueError extends Error {
  override readonly name = 'UnreadableValueError';

  constructor({ table, column, id }: EncryptedPlace, cause: unknown) {
    super(
      `The encrypted value in ${table}.${column}, row ${id}, can't be decrypted: it was changed, or moved there from another row or column. Set it again.`,
      { cause },
    );
  }
}

interface Key {
  object: KeyObject;
  /** In hexadecimal. */
  id: string;
}

/** The keys that secrets are sealed with at rest: the current one seals, and those before it still open. */
export class Keyring {
  readonly #current: Key;
  readonly #byId: ReadonlyMap<string, Key>;

  /** @param current of 32 bytes, as are the old ones */
  constructor(current: Uint8Array, old: Uint8Array[] = []) {
    this.#current = toKey(current);
    this.#byId = new Map([this.#current, ...old.map(toKey)].map((key) => [key.id, key]));
  }

  /** In hexadecimal. Says nothing of the key itself. */
  get currentKeyId(): string {
    return this.#current.id;
  }

  /** The first bytes of values that these keys decrypt. The first prefix is the one of new values. */
  get prefixes(): Buffer[] {
    const ids = [...this.#byId.keys()];
    return [VERSION, VERSION_WITHOUT_PLACE].flatMap((version) => ids.map((id) => toPrefix(version, id)));
  }

  /** Encrypts a text for one place in the database with AES-256-GCM: version, key ID, nonce, tag, ciphertext. */
  seal(text: string, place: EncryptedPlace): Buffer {
    const { object, id } = this.#current;
    const prefix = toPrefix(VERSION, id);
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, object, nonce).setAAD(toAuthenticated(prefix, place));
    const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([prefix, nonce, cipher.getAuthTag(), ciphertext]);
  }

  /**
   * Decrypts a value that {@link seal} returned or an earlier version stored.
   *
   * @throws {UnknownKeyError}
   * @throws {UnreadableValueError} if the bytes were changed, or belong to another place
   */
  open(sealed: Uint8Array, place: EncryptedPlace): string {
    const version = sealed[0];
    if (version === VERSION_WITHOUT_KEY_ID) return this.#openWithoutKeyId(sealed);
    if (version !== VERSION && version !== VERSION_WITHOUT_PLACE) {
      throw new Error(
        `The encrypted value in ${place.table}.${place.column} is of the unknown version ${version}: a newer Posthorn wrote it.`,
      );
    }
    const prefix = sealed.subarray(0, SEAL_PREFIX_BYTES);
    const keyId = Buffer.from(prefix.subarray(1)).toString('hex');
    const key = this.#byId.get(keyId);
    if (!key) throw new UnknownKeyError(keyId);
    const authenticated = version === VERSION ? toAuthenticated(prefix, place) : prefix;
    try {
      return decipher(key.object, sealed.subarray(SEAL_PREFIX_BYTES), authenticated);
    } catch (cause) {
      throw new UnreadableValueError(place, cause);
    }
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

function decipher(key: KeyObject, sealed: Uint8Array, authenticated: Uint8Array | null): string {
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  if (authenticated) decipher.setAAD(authenticated);
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8');
}

function toKey(bytes: Uint8Array): Key {
  const object = createSecretKey(bytes);
  const id = createHmac('sha256', object).update('posthorn key id').digest().subarray(0, KEY_ID_BYTES);
  return { object, id: id.toString('hex') };
}

const toPrefix = (version: number, keyId: string): Buffer =>
  Buffer.concat([Buffer.of(version), Buffer.from(keyId, 'hex')]);

/** Names of tables and columns have no NUL. */
const toAuthenticated = (prefix: Uint8Array, { table, column, id }: EncryptedPlace): Buffer =>
  Buffer.concat([prefix, Buffer.from(`${table}\0${column}\0${id.toLowerCase()}`)]);
