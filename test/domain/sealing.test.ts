import { describe, expect, it } from 'vitest';
import { Keyring, UnknownKeyError, UnreadableValueError } from '../../src/domain/sealing.ts';
import { sealWithoutKeyId, sealWithoutPlace } from '../support/earlier-encryption.ts';

const KEY = Buffer.alloc(32, 1);
const OTHER_KEY = Buffer.alloc(32, 2);
const SECRET = 'whsec_plJ3nmyCDGBKInavdOK15jsl';
const keyring = new Keyring(KEY);

const PLACE = { table: 'endpoints', column: 'headers_sealed', id: '0194a3b0-0000-7000-8000-00000000000a' };

describe('sealing', () => {
  it.each([SECRET, '', 'Grüße 👋', '\0', 'x'.repeat(100_000)])('gives back what was sealed', (text) => {
    expect(keyring.open(keyring.seal(text, PLACE), PLACE)).toBe(text);
  });

  it('opens what comes back from the database as plain bytes', () => {
    expect(keyring.open(new Uint8Array(keyring.seal(SECRET, PLACE)), PLACE)).toBe(SECRET);
  });

  it('never seals one text in the same way twice', () => {
    const sealed = Array.from({ length: 100 }, () => keyring.seal(SECRET, PLACE).toString('hex'));
    expect(new Set(sealed).size).toBe(100);
  });

  it('shows nothing of the text', () => {
    expect(keyring.seal(SECRET, PLACE).includes('plJ3nmy')).toBe(false);
  });

  it('does not open when any single byte was changed', () => {
    const sealed = keyring.seal(SECRET, PLACE);
    const opened = [...sealed.keys()].filter((index) => {
      const changed = Buffer.from(sealed);
      changed[index] = (changed[index] as number) ^ 1;
      return canOpen(changed);
    });
    expect(opened).toEqual([]);
  });

  it('does not open when it was cut anywhere, or lengthened', () => {
    const sealed = keyring.seal(SECRET, PLACE);
    const opened = [...sealed.keys()].filter((length) => canOpen(sealed.subarray(0, length)));
    expect(opened).toEqual([]);
    expect(canOpen(Buffer.concat([sealed, Buffer.of(0)]))).toBe(false);
  });

  it('says which version it does not know', () => {
    const sealed = keyring.seal(SECRET, PLACE);
    sealed[0] = 9;
    expect(() => keyring.open(sealed, PLACE)).toThrow('the unknown version 9');
  });

  it.each([16, 24, 31, 33])('refuses a key of %d bytes', (bytes) => {
    const other = new Keyring(Buffer.alloc(bytes));
    expect(() => other.seal(SECRET, PLACE)).toThrow('Invalid key length');
  });
});

describe('an encrypted value', () => {
  const sealed = keyring.seal(SECRET, PLACE);

  it.each([
    ['table', { ...PLACE, table: 'endpoint_secrets' }],
    ['column', { ...PLACE, column: 'client_certificate_sealed' }],
    ['row', { ...PLACE, id: '0194a3b0-0000-7000-8000-00000000000b' }],
    ['table and column with the same text in sum', { ...PLACE, table: 'endpoint', column: 'sheaders_sealed' }],
  ])('that was moved to another %s can not be decrypted, and the error names the place but no secret', (_, place) => {
    const error = (() => {
      try {
        return keyring.open(sealed, place);
      } catch (reason) {
        return reason;
      }
    })() as Error;
    expect(error).toBeInstanceOf(UnreadableValueError);
    expect(error.message).toContain(`${place.table}.${place.column}, row ${place.id}`);
    expect(`${error.message} ${error.stack} ${error.cause}`).not.toContain('plJ3nmy');
  });

  it('can be decrypted in its place, however the ID of the row is written', () => {
    expect(keyring.open(sealed, { ...PLACE, id: PLACE.id.toUpperCase() })).toBe(SECRET);
  });

  it('of version 0.1.0, which is not bound to a place, can be decrypted', () => {
    expect(keyring.open(sealWithoutPlace(SECRET, KEY), PLACE)).toBe(SECRET);
  });

  it('does not become one of version 0.1.0 by changing its first byte', () => {
    const changed = Buffer.from(sealed);
    changed[0] = 2;
    expect(() => keyring.open(changed, PLACE)).toThrow(UnreadableValueError);
  });
});

describe('a keyring', () => {
  const rotated = new Keyring(OTHER_KEY, [KEY]);

  it('opens what its old keys sealed, and seals with the current one alone', () => {
    expect(rotated.open(keyring.seal(SECRET, PLACE), PLACE)).toBe(SECRET);
    expect(new Keyring(OTHER_KEY).open(rotated.seal(SECRET, PLACE), PLACE)).toBe(SECRET);
    expect(() => keyring.open(rotated.seal(SECRET, PLACE), PLACE)).toThrow(UnknownKeyError);
  });

  it('names the key that a value needs where it does not have it, and the settings to give it by', () => {
    const { currentKeyId } = rotated;
    expect(currentKeyId).toMatch(/^[0-9a-f]{8}$/);
    expect(() => keyring.open(rotated.seal(SECRET, PLACE), PLACE)).toThrow(
      new RegExp(`key ID ${currentKeyId}.*POSTHORN_ENCRYPTION_KEY.*POSTHORN_OLD_ENCRYPTION_KEYS`),
    );
  });

  it('puts version and key ID first, by which values of a key are found', () => {
    const prefix = rotated.prefixes[0] as Buffer;
    expect(prefix.toString('hex')).toBe(`03${rotated.currentKeyId}`);
    expect(rotated.seal(SECRET, PLACE).subarray(0, 5)).toEqual(prefix);
    expect(rotated.prefixes.map((one) => one.toString('hex'))).toEqual(
      ['03', '02'].flatMap((version) => [rotated, keyring].map(({ currentKeyId }) => version + currentKeyId)),
    );
  });

  it('opens values that do not name their key yet, with whichever key fits', () => {
    const sealed = sealWithoutKeyId(SECRET, KEY);
    expect(keyring.open(sealed, PLACE)).toBe(SECRET);
    expect(rotated.open(sealed, PLACE)).toBe(SECRET);
    expect(() => new Keyring(OTHER_KEY).open(sealed, PLACE)).toThrow(UnknownKeyError);
  });

  it('takes a key that is there twice as one', () => {
    expect(new Keyring(KEY, [KEY]).prefixes).toEqual(keyring.prefixes);
  });
});

function canOpen(sealed: Uint8Array): boolean {
  try {
    keyring.open(sealed, PLACE);
    return true;
  } catch {
    return false;
  }
}
