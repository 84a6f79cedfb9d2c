import { createCipheriv, randomBytes } from 'node:crypto';
import { Keyring } from '../../src/domain/sealing.ts';

/** Encrypts as version 0.1.0 did: the value names its key, and is not bound to its place. */
export function sealWithoutPlace(text: string, key: Buffer): Buffer {
  const prefix = Buffer.concat([Buffer.of(2), Buffer.from(new Keyring(key).currentKeyId, 'hex')]);
  return Buffer.concat([prefix, encrypt(text, key, prefix)]);
}

/** Encrypts as the first versions did: the value does not name its key. */
export const sealWithoutKeyId = (text: string, key: Buffer): Buffer =>
  Buffer.concat([Buffer.of(1), encrypt(text, key, null)]);

function encrypt(text: string, key: Buffer, authenticated: Buffer | null): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  if (authenticated) cipher.setAAD(authenticated);
  const ciphertext = Buffer.concat([cipher.update(text), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]);
}
