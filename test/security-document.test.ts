import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');

/** Rows of the tables that promise something: what, and the tests that hold it. */
const promises = read('SECURITY.md')
  .split('\n')
  .filter((line) => line.startsWith('| ') && line.includes('`test/'))
  .map((line) => line.split(' | ') as [string, string]);

/** A title as it stands in the source, whatever its quotes and what is filled in. */
const plain = (text: string) => text.replaceAll('\\', '').replaceAll(/['’]/g, "'");

describe('SECURITY.md', () => {
  it('has promises', () => {
    expect(promises.length).toBeGreaterThan(30);
  });

  it.each(promises)('names tests that there are: %s', (_, tests) => {
    const parts = tests.split(/`(test\/[\w/.-]+)` › /).slice(1);
    expect(parts.length).toBeGreaterThan(0);
    for (let index = 0; index < parts.length; index += 2) {
      const path = parts[index] as string;
      expect([path, existsSync(new URL(path, ROOT))]).toEqual([path, true]);
      const source = plain(read(path));
      const titles = (parts[index + 1] as string).replace(/[|;\s]+$/, '').split('; ');
      expect(titles.filter((title) => !source.includes(plain(title.trim())))).toEqual([]);
    }
  });
});
