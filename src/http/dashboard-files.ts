import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join } from 'node:path';

/** Where `npm run dashboard:build` writes the pages. */
export const DASHBOARD_DIR = join(import.meta.dirname, '../../dist/dashboard');

/** Pages that other products may show in a frame. */
const EMBED_PATH = /^\/embed(\/|$)/;
/** Files with a hash of their content in the name. */
const ASSETS_PATH = /^\/assets\//;

const PAGE = '/index.html';
const NOT_BUILT = 'The dashboard is not built. Run: npm run dashboard:build\n';

/** Of the kinds of files that the build writes. */
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
/** Best first, by the ending of the packed file that the build writes beside the plain one. */
const ENCODINGS = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const;

export interface DashboardOptions {
  /** Origins whose pages may show `/embed` in a frame. */
  embedOrigins: string[];
  /** @default {@link DASHBOARD_DIR} */
  dir?: string;
}

/** Answers a request with a file of the dashboard. @returns false where it has none to give */
export type ServeDashboard = (request: IncomingMessage, response: ServerResponse) => boolean;

interface PageFile {
  type: string;
  etag: string;
  plain: Buffer;
  /** By the name of their encoding. */
  packed: Map<string, Buffer>;
}

/**
 * The dashboard's files, read into memory: less than 2 MB, and a build that runs meanwhile changes nothing. Whatever path a
 * browser asks for that is no file gets the page, which knows its own paths.
 */
export function makeDashboard({ embedOrigins, dir = DASHBOARD_DIR }: DashboardOptions): ServeDashboard {
  const files = readFiles(dir);
  const page = files.get(PAGE);
  return (request, response) => {
    const path = request.url?.split('?', 1)[0] ?? '/';
    if (!isForPage(request, path)) return false;
    const file = files.get(path) ?? (ASSETS_PATH.test(path) ? undefined : page);
    if (file) {
      setPageHeaders(response, EMBED_PATH.test(path) ? embedOrigins : []);
      response.setHeader('cache-control', cacheControl(path));
      send(request, response, file);
    } else {
      response.writeHead(page ? 404 : 503, { 'content-type': 'text/plain; charset=utf-8' });
      response.end(page ? 'There is no such file.\n' : NOT_BUILT);
    }
    return true;
  };
}

/** All files below a folder, by their path in a URL. @returns none where there is no such folder */
function readFiles(dir: string): Map<string, PageFile> {
  if (!existsSync(dir)) return new Map();
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => extname(name) in TYPES);
  const wanted = names.filter((name) => statSync(join(dir, name)).isFile());
  return new Map(wanted.map((name) => [`/${name.replaceAll('\\', '/')}`, readOne(join(dir, name))]));
}

function readOne(path: string): PageFile {
  const plain = readFileSync(path);
  const packed = ENCODINGS.filter(([, ending]) => existsSync(path + ending));
  return {
    type: TYPES[extname(path)] as string,
    etag: `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`,
    plain,
    packed: new Map(packed.map(([encoding, ending]) => [encoding, readFileSync(path + ending)])),
  };
}

function send({ method, headers }: IncomingMessage, response: ServerResponse, { type, etag, plain, packed }: PageFile) {
  const accepted = String(headers['accept-encoding'] ?? '');
  const encoding = ENCODINGS.map(([name]) => name).find((name) => packed.has(name) && accepted.includes(name));
  const body = (encoding && packed.get(encoding)) || plain;
  response.setHeader('etag', etag);
  response.setHeader('vary', 'Accept-Encoding');
  if (headers['if-none-match'] === etag) return void response.writeHead(304).end();
  if (encoding) response.setHeader('content-encoding', encoding);
  response.writeHead(200, { 'content-type': type, 'content-length': body.length });
  response.end(method === 'HEAD' ? undefined : body);
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
