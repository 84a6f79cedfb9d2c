import { createCipheriv, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Keyring, UnknownKeyError } from '../../src/domain/sealing.ts';

const KEY = Buffer.alloc(32, 1);
const OTHER_KEY = Buffer.alloc(32, 2);
const SECRET = 'whsec_plJ3nmyCDGBKInavdOK15jsl';
const keyring = new Keyring(KEY);

/** As values were sealed before they named their key. */
function sealWithoutKeyId(text: string, key: Buffer): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const ciphertext = Buffer.concat([cipher.update(text), cipher.final()]);
  return Buffer.concat([Buffer.of(1), nonce, cipher.getAuthTag(), ciphertext]);
}

describe('sealing', () => {
  it.each([SECRET, '', 'Grüße 👋', '\0', 'x'.repeat(100_000)])('gives back what was sealed', (text) => {
    expect(keyring.open(keyring.seal(text))).toBe(text);
  });

  it('opens what comes back from the database as plain bytes', () => {
    expect(keyring.open(new Uint8Array(keyring.seal(SECRET)))).toBe(SECRET);
  });

  it('never seals one text in the same way twice', () => {
    const sealed = Array.from({ length: 100 }, () => keyring.seal(SECRET).toString('hex'));
    expect(new Set(sealed).size).toBe(100);
  });

  it('shows nothing of the text', () => {
    expect(keyring.seal(SECRET).includes('plJ3nmy')).toBe(false);
  });

  it('does not open when any single byte was changed', () => {
    const sealed = keyring.seal(SECRET);
    const opened = [...sealed.keys()].filter((index) => {
      const changed = Buffer.from(sealed);
      changed[index] = (changed[index] as number) ^ 1;
      return canOpen(changed);
    });
    expect(opened).toEqual([]);
  });

  it('does not open when it was cut anywhere, or lengthened', () => {
    const sealed = keyring.seal(SECRET);
    const opened = [...sealed.keys()].filter((length) => canOpen(sealed.subarray(0, length)));
    expect(opened).toEqual([]);
    expect(canOpen(Buffer.concat([sealed, Buffer.of(0)]))).toBe(false);
  });

  it('says which version it does not know', () => {
    const sealed = keyring.seal(SECRET);
    sealed[0] = 9;
    expect(() => keyring.open(sealed)).toThrow('unknown version 9');
  });

  it.each([16, 24, 31, 33])('refuses a key of %d bytes', (bytes) => {
    const other = new Keyring(Buffer.alloc(bytes));
    expect(() => other.seal(SECRET)).toThrow('Invalid key length');
  });
});

describe('a keyring', () => {
  const rotated = new Keyring(OTHER_KEY, [KEY]);

  it('opens what its old keys sealed, and seals with the current one alone', () => {
    expect(rotated.open(keyring.seal(SECRET))).toBe(SECRET);
    expect(new Keyring(OTHER_KEY).open(rotated.seal(SECRET))).toBe(SECRET);
    expect(() => keyring.open(rotated.seal(SECRET))).toThrow(UnknownKeyError);
  });

  it('names the key that a value needs where it does not have it, and the settings to give it by', () => {
    const { currentKeyId } = rotated;
    expect(currentKeyId).toMatch(/^[0-9a-f]{8}$/);
    expect(() => keyring.open(rotated.seal(SECRET))).toThrow(
      new RegExp(`key ID ${currentKeyId}.*POSTHORN_ENCRYPTION_KEY.*POSTHORN_OLD_ENCRYPTION_KEYS`),
    );
  });

  it('puts version and key ID first, by which values of a key are found', () => {
    const prefix = rotated.prefixes[0] as Buffer;
    expect(prefix.toString('hex')).toBe(`02${rotated.currentKeyId}`);
    expect(rotated.seal(SECRET).subarray(0, 5)).toEqual(prefix);
    expect(rotated.prefixes).toEqual([prefix, keyring.prefixes[0]]);
  });

  it('opens values that do not name their key yet, with whichever key fits', () => {
    const sealed = sealWithoutKeyId(SECRET, KEY);
    expect(keyring.open(sealed)).toBe(SECRET);
    expect(rotated.open(sealed)).toBe(SECRET);
    expect(() => new Keyring(OTHER_KEY).open(sealed)).toThrow(UnknownKeyError);
  });

  it('takes a key that is there twice as one', () => {
    expect(new Keyring(KEY, [KEY]).prefixes).toHaveLength(1);
  });
});

function canOpen(sealed: Uint8Array): boolean {
  try {
    keyring.open(sealed);
    return true;
  } catch {
    return false;
  }
}
