import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { DOCUMENTS_PATH, printDocuments } from '../../src/dashboard/print-documents.ts';
import { DASHBOARD_DIR } from '../../src/http/dashboard-files.ts';

describe("the dashboard's documents", () => {
  it('fit the schema, and are written as they stand in the .graphql files', async () => {
    // Where this fails: npm run documents:print
    expect(readFileSync(DOCUMENTS_PATH, 'utf8')).toBe(await printDocuments());
  });
});

/** 250 KB. */
const FIRST_PAGE_BYTES_MAX = 250_000;

describe("the dashboard's files", () => {
  const sizeOf = (path: string) => gzipSync(readFileSync(join(DASHBOARD_DIR, path))).length;
  const assets = readdirSync(join(DASHBOARD_DIR, 'assets')).filter((name) => /\.(js|css)$/.test(name));

  it('that the first page needs are less than 250 KB, packed', () => {
    const html = readFileSync(join(DASHBOARD_DIR, 'index.html'), 'utf8');
    const first = [...html.matchAll(/\/(assets\/[^"]+)"/g)].map(([, path]) => path as string);
    const overview = assets
      .filter((name) => /^(overview-page|stats-charts)-/.test(name))
      .map((name) => `assets/${name}`);
    expect(first.length).toBeGreaterThan(1);
    expect(overview.length).toBeGreaterThan(1);
    const bytes = [...first, ...overview].reduce((sum, path) => sum + sizeOf(path), 0);
    expect(bytes).toBeLessThan(FIRST_PAGE_BYTES_MAX);
  });

  it('load nothing from elsewhere', () => {
    const texts = ['index.html', ...assets.map((name) => `assets/${name}`)].map((path) =>
      readFileSync(join(DASHBOARD_DIR, path), 'utf8'),
    );
    const loads = /(?:src|href)="https?:|@import|url\(\s*["']?https?:/;
    expect(texts.filter((text) => loads.test(text))).toEqual([]);
  });

  it('are packed ahead, so that serving them costs nothing', () => {
    const large = assets.filter((name) => statSync(join(DASHBOARD_DIR, 'assets', name)).size > 10_000);
    const files = new Set(readdirSync(join(DASHBOARD_DIR, 'assets')));
    expect(large.filter((name) => !files.has(`${name}.gz`) || !files.has(`${name}.br`))).toEqual([]);
  });
});
