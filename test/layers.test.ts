import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const SOURCE_DIR = join(import.meta.dirname, '../src');
const LINES_MAX = 400;

/** What stands in a row knows only the rows above it. Folders of one row do not know each other. */
const LAYERS = [
  [
    'config.ts',
    'database-errors.ts',
    'database-outage.ts',
    'database-url.ts',
    'log.ts',
    'errors.ts',
    'poll-loop.ts',
    'closest-name.ts',
    'setting-names.ts',
    'version.ts',
    'generated',
  ],
  ['domain'],
  ['storage', 'queue', 'live'],
  ['publish', 'deliver', 'endpoints', 'access'],
  ['graphql'],
  ['http', 'dashboard'],
  ['cli'],
  ['main.ts', 'migrate.ts', 'rotate-encryption-key.ts'],
];

const files = readdirSync(SOURCE_DIR, { recursive: true, encoding: 'utf8' })
  .filter((path) => /\.tsx?$/.test(path) && !/(^|\/)generated\//.test(path))
  .toSorted();

const read = (path: string) => readFileSync(join(SOURCE_DIR, path), 'utf8');

/** Folder of a source file, or its name where it stands in `src/` itself. */
const folderOf = (path: string) => path.split('/')[0] as string;

const rankOf = (path: string) => LAYERS.findIndex((folders) => folders.includes(folderOf(path)));

/** Paths below `src/` that a source imports, statically, for its types, for its effect, or when it runs. */
function findImports(path: string, source: string): string[] {
  const specifiers = [...source.matchAll(/\b(?:from|import)\s*\(?\s*['"](\.[^'"]*)['"]/g)];
  // What is taken as a text is shown, not run.
  const run = specifiers.filter(([, specifier]) => !specifier?.endsWith('?raw'));
  return run.map(([, specifier]) => relative('.', join(dirname(path), specifier as string)));
}

/** Why a file may not import another; null: it may. */
function findFault(importer: string, imported: string): string | null {
  const [from, to] = [rankOf(importer), rankOf(imported)];
  if (from === -1) return `${importer} stands in no layer`;
  if (to === -1) return `${importer} imports ${imported}, which stands in no layer`;
  if (from === 0 ? to === 0 : folderOf(importer) === folderOf(imported)) return null;
  if (to < from) return null;
  return `${importer} imports ${imported}, ${to > from ? 'which stands above it' : 'which stands beside it'}`;
}

describe('the layers', () => {
  it('every source file stands in one', () => {
    expect(files.filter((path) => rankOf(path) === -1)).toEqual([]);
    expect(files.length).toBeGreaterThan(0);
  });

  it('a file imports from its own folder and from layers below, never up or sideways', () => {
    const imports = files.flatMap((path) => findImports(path, read(path)).map((imported) => ({ path, imported })));
    expect(imports.length).toBeGreaterThan(files.length);
    expect(imports.flatMap(({ path, imported }) => findFault(path, imported) ?? [])).toEqual([]);
  });

  it.each([
    ['domain/delivery.ts', 'storage/database.ts', 'above'],
    ['errors.ts', 'domain/ids.ts', 'above'],
    ['http/server.ts', 'main.ts', 'above'],
    ['storage/store.ts', 'queue/delivery-queue.ts', 'beside'],
    ['publish/publisher.ts', 'deliver/sender.ts', 'beside'],
    ['dashboard/page.ts', 'http/server.ts', 'beside'],
    ['domain/delivery.ts', '../package.json', 'in no layer'],
    ['utils/strings.ts', 'errors.ts', 'in no layer'],
  ])('%s must not import %s: it stands %s', (importer, imported, fault) => {
    expect(findFault(importer, imported)).toContain(fault);
  });

  it('the dashboard imports nothing from outside of it: it knows the server through GraphQL alone', () => {
    const own = files.filter((path) => path.startsWith('dashboard/'));
    const imports = own.flatMap((path) =>
      findImports(path, read(path)).map((imported) => `${path} imports ${imported}`),
    );
    expect(imports.length).toBeGreaterThan(own.length);
    expect(imports.filter((line) => !/ imports dashboard\//.test(line))).toEqual([]);
  });

  it('imports of every form are seen', () => {
    const source = `
      import { a } from './a.ts';
      import type { B } from "../domain/b.ts";
      import {
        c,
      } from '../c.ts';
      import './d.ts';
      export { e } from './e.ts';
      const f = await import('./f.ts');
      let g: typeof import('./g.ts');
      import pg from 'pg';`;
    expect(findImports('graphql/x.ts', source)).toEqual([
      'graphql/a.ts',
      'domain/b.ts',
      'c.ts',
      'graphql/d.ts',
      'graphql/e.ts',
      'graphql/f.ts',
      'graphql/g.ts',
    ]);
  });
});

describe('the source files', () => {
  it(`have ${LINES_MAX} lines at most`, () => {
    const countLines = (path: string) => read(path).trimEnd().split('\n').length;
    expect(files.filter((path) => countLines(path) > LINES_MAX)).toEqual([]);
  });

  it('read process.env in config.ts only', () => {
    expect(files.filter((path) => /\bprocess\s*\.\s*env\b|\benv\b[^;]*from 'node:process'/.test(read(path)))).toEqual([
      'config.ts',
    ]);
  });

  it('are named by what they hold, not utils, helpers, common or index', () => {
    expect(files.filter((path) => /^(utils?|helpers?|common|index)\b/.test(basename(path)))).toEqual([]);
    expect(files.filter((path) => /\b(utils?|helpers?|common)\//.test(path))).toEqual([]);
  });
});
