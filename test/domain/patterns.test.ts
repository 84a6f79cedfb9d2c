import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSync } from 'vite';
import { describe, expect, it } from 'vitest';

// Collects every regular expression of the server's sources and tries it with texts that make patterns slow.

const SOURCE_DIR = join(import.meta.dirname, '../../src');
const files = readdirSync(SOURCE_DIR, { recursive: true, encoding: 'utf8' }).filter(
  (path) => path.endsWith('.ts') && !/^(generated|dashboard)\//.test(path),
);

interface Node {
  type?: string;
  regex?: { pattern: string; flags: string };
  [key: string]: unknown;
}

/** The regular expressions that a source writes as literals. */
function findPatterns(value: unknown, found: RegExp[]): void {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const entry of value) findPatterns(entry, found);
    return;
  }
  const { regex } = value as Node;
  if (regex && typeof regex.pattern === 'string') found.push(new RegExp(regex.pattern, regex.flags.replace('g', '')));
  for (const [key, inner] of Object.entries(value)) if (key !== 'regex') findPatterns(inner, found);
}

const patterns = new Map<string, RegExp>();
for (const path of files) {
  const { program } = parseSync(path, readFileSync(join(SOURCE_DIR, path), 'utf8'));
  const found: RegExp[] = [];
  findPatterns(program, found);
  for (const pattern of found) patterns.set(String(pattern), pattern);
}

/** Pieces of hostile texts: of every kind of character that patterns repeat. */
const PIECES = [
  ...['a', 'A', '0', ' ', '\t', '\n', '.', ':', ';', ',', '"', "'", '-', '_', '/', '\\', '(', ')', '[', ']', '{', '}'],
  ...[
    '=',
    '?',
    '*',
    '%',
    'é',
    '\0',
    'a.',
    'a,',
    'a ',
    '0.',
    '1:',
    '];',
    ':1',
    '[a]:1',
    '((',
    '"a"',
    ' Did you mean ',
    'a-a',
  ],
  ...['Bearer ', '-----BEGIN CERTIFICATE-----', '127.0.0.1', 'a;', 'a/b', '%2', 'https://'],
];
/** Patterns for texts of Posthorn's own: messages at the start, and the SQL of migrations. */
const OWN_TEXTS = new Set([String(/\s*\n\s*/), String(/^\s*--.*$/m)]);
const SHORT = 2_000;
const LONG = 8 * SHORT;
/** Texts of a size: each piece repeated, also after what a pattern begins with, and with an end that fits none. */
const textsOf = (chars: number, start: string) =>
  PIECES.map((piece) => `${start}${piece.repeat(chars / piece.length)}\u{10ffff}`);

/** What patterns begin with, before the part that they repeat. */
const STARTS = [
  '',
  '[',
  '(',
  'Bearer ',
  'a/b;',
  'Variable "$a" of ',
  '127.0.0.1:',
  '"',
  'application/json',
  '-----BEGIN CERTIFICATE-----',
];

function cpuMsOf(run: () => void): number {
  const before = process.cpuUsage();
  run();
  return process.cpuUsage(before).user / 1_000;
}

describe('regular expressions of the server', () => {
  it('are found in its sources', () => expect(patterns.size).toBeGreaterThan(25));

  it.each([...patterns.keys()].filter((key) => !OWN_TEXTS.has(key)))('%s takes time proportional to a text', (key) => {
    const pattern = patterns.get(key) as RegExp;
    for (const start of STARTS) {
      const short = cpuMsOf(() => textsOf(SHORT, start).map((text) => pattern.test(text)));
      const long = cpuMsOf(() => textsOf(LONG, start).map((text) => pattern.test(text)));
      // A text eight times as long: linear is 8, quadratic 64. What takes no measurable time is linear.
      expect(long / Math.max(short, 2), `after ${JSON.stringify(start)}`).toBeLessThan(30);
    }
  });
});
