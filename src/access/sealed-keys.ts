import { EncryptJWT, errors, jwtDecrypt } from 'jose';
import { z } from 'zod';
import type { Keyring } from '../domain/sealing.ts';
import { tryEach } from './try-each.ts';

/** How Posthorn encrypts: JWE (RFC 7516) with AES-256-GCM. */
const ALGORITHM = 'dir';
const ENCRYPTION = 'A256GCM';

const claimsSchema = z.object({ key: z.string(), exp: z.number() });

/** A key or a token, and when a session with it ends. */
export interface SealedKey {
  key: string;
  /** To the second. */
  expiresAt: Date;
}

/** Keys as cookies hold them: nobody can read or change them but Posthorn, and they end. */
export class SealedKeys {
  readonly #keys: Uint8Array[];

  constructor(keyring: Keyring) {
    this.#keys = keyring.derive('sessions');
  }

  seal({ key, expiresAt }: SealedKey): Promise<string> {
    const jwt = new EncryptJWT({ key }).setProtectedHeader({ alg: ALGORITHM, enc: ENCRYPTION });
    return jwt.setExpirationTime(expiresAt).encrypt(this.#keys[0] as Uint8Array);
  }

  /** @returns null where it was not sealed here, was changed, or has ended */
  open(text: string): Promise<SealedKey | null> {
    return tryEach(this.#keys, async (key) => {
      try {
        const options = { keyManagementAlgorithms: [ALGORITHM], contentEncryptionAlgorithms: [ENCRYPTION] };
        const { payload } = await jwtDecrypt(text, key, options);
        const { success, data } = claimsSchema.safeParse(payload);
        return success ? { key: data.key, expiresAt: new Date(data.exp * 1_000) } : null;
      } catch (error) {
        if (error instanceof errors.JOSEError) return null;
        throw error;
      }
    });
  }
}
