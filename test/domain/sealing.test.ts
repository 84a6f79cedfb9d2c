import { createSecretKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { seal, unseal } from '../../src/domain/sealing.ts';

const KEY = createSecretKey(Buffer.alloc(32, 1));
const OTHER_KEY = createSecretKey(Buffer.alloc(32, 2));
const SECRET = 'whsec_plJ3nmyCDGBKInavdOK15jsl';

describe('sealing', () => {
  it.each([SECRET, '', 'Grüße 👋', '\0', 'x'.repeat(100_000)])('gives back what was sealed', (text) => {
    expect(unseal(seal(text, KEY), KEY)).toBe(text);
  });

  it('opens what comes back from the database as plain bytes', () => {
    expect(unseal(new Uint8Array(seal(SECRET, KEY)), KEY)).toBe(SECRET);
  });

  it('never seals one text in the same way twice', () => {
    const sealed = Array.from({ length: 100 }, () => seal(SECRET, KEY).toString('hex'));
    expect(new Set(sealed).size).toBe(100);
  });

  it('shows nothing of the text', () => {
    expect(seal(SECRET, KEY).includes('plJ3nmy')).toBe(false);
  });

  it('does not open with another key', () => {
    expect(() => unseal(seal(SECRET, KEY), OTHER_KEY)).toThrow();
  });

  it('does not open when any single byte was changed', () => {
    const sealed = seal(SECRET, KEY);
    const opened = [...sealed.keys()].filter((index) => {
      const changed = Buffer.from(sealed);
      changed[index] = (changed[index] as number) ^ 1;
      return canOpen(changed);
    });
    expect(opened).toEqual([]);
  });

  it('does not open when it was cut anywhere, or lengthened', () => {
    const sealed = seal(SECRET, KEY);
    const opened = [...sealed.keys()].filter((length) => canOpen(sealed.subarray(0, length)));
    expect(opened).toEqual([]);
    expect(canOpen(Buffer.concat([sealed, Buffer.of(0)]))).toBe(false);
  });

  it('says which version it does not know', () => {
    const sealed = seal(SECRET, KEY);
    sealed[0] = 9;
    expect(() => unseal(sealed, KEY)).toThrow('unknown version 9');
  });

  it.each([16, 24, 31, 33])('refuses a key of %d bytes', (bytes) => {
    const key = createSecretKey(Buffer.alloc(bytes));
    expect(() => seal(SECRET, key)).toThrow('Invalid key length');
    expect(() => unseal(seal(SECRET, KEY), key)).toThrow('Invalid key length');
  });
});

function canOpen(sealed: Uint8Array): boolean {
  try {
    unseal(sealed, KEY);
    return true;
  } catch {
    return false;
  }
}
