import { existsSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import sirv from 'sirv';

/** Where `npm run dashboard:build` writes the pages. */
export const DASHBOARD_DIR = join(import.meta.dirname, '../../dist/dashboard');

/** Pages that other products may show in a frame. */
const EMBED_PATH = /^\/embed(\/|$)/;
/** Files with a hash of their content in the name. */
const ASSETS_PATH = /^\/assets\//;

const NOT_BUILT = 'The dashboard is not built. Run: npm run dashboard:build\n';

export interface DashboardOptions {
  /** Origins whose pages may show `/embed` in a frame. */
  embedOrigins: string[];
  /** @default {@link DASHBOARD_DIR} */
  dir?: string;
}

/** Answers a request with a file of the dashboard. @returns false where it has none to give */
export type ServeDashboard = (request: IncomingMessage, response: ServerResponse) => boolean;

/**
 * The dashboard's files, read once. Whatever path a browser asks for that is no file gets the page, which knows its own
 * paths.
 */
export function makeDashboard({ embedOrigins, dir = DASHBOARD_DIR }: DashboardOptions): ServeDashboard {
  const isBuilt = existsSync(join(dir, 'index.html'));
  const serve = sirv(dir, {
    single: true,
    ignores: [ASSETS_PATH],
    etag: true,
    gzip: true,
    brotli: true,
    setHeaders: (response, path) => response.setHeader('cache-control', cacheControl(path)),
  });
  return (request, response) => {
    const path = request.url?.split('?', 1)[0] ?? '/';
    if (!isForPage(request, path)) return false;
    if (!isBuilt) {
      response.writeHead(503, { 'content-type': 'text/plain; charset=utf-8' }).end(NOT_BUILT);
      return true;
    }
    setPageHeaders(response, EMBED_PATH.test(path) ? embedOrigins : []);
    serve(request, response, () => void response.writeHead(404).end());
    return true;
  };
}

/** Programs that ask for nothing in particular are told where GraphQL is. */
function isForPage({ method, headers }: IncomingMessage, path: string): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false;
  return ASSETS_PATH.test(path) || path === '/icon.svg' || (headers.accept?.includes('text/html') ?? false);
}

const cacheControl = (path: string) => (ASSETS_PATH.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache');

/** Scripts come from files of this host alone. Styles may stand in the page: the component library puts its variables there. */
function setPageHeaders(response: ServerResponse, frameAncestors: string[]) {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    `frame-ancestors ${frameAncestors.join(' ') || "'none'"}`,
    "base-uri 'none'",
    "form-action 'none'",
  ];
  response.setHeader('content-security-policy', policy.join('; '));
  if (frameAncestors.length > 0) response.removeHeader('x-frame-options');
}
