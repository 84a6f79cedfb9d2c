import type { IncomingMessage, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { z } from 'zod';
import type { Authenticator } from '../access/authenticate.ts';
import type { SignInTokens } from '../access/sign-in-tokens.ts';
import { isDatabaseUnavailable } from '../database-errors.ts';
import { RequestError } from '../errors.ts';
import type { Gate } from './gate.ts';
import { describeForeignPage, type Headers, headersOf, isLoopback, isOfThisHost, isSecure } from './page-origin.ts';
import type { RepeatedLines } from './repeated-lines.ts';
import { clearCookies, writeCookie } from './session-cookie.ts';

export const SESSION_PATH = '/session';

/** Largest request: a key and what is around it. */
const SESSION_BYTES_MAX = 8_192;

const bodySchema = z.union([z.object({ key: z.string().min(1) }), z.object({ token: z.string().min(1) })]);

/** What is answered beside JSON. */
interface Answer {
  status: number;
  body?: object;
  cookies?: string[];
}

export interface SessionRoutesOptions {
  authenticator: Authenticator;
  signInTokens: SignInTokens;
  gate: Gate;
  /** All that comes came over https. */
  behindTls: boolean;
  lines: RepeatedLines;
}

/**
 * Signs pages of this host in and out. `POST` takes `{ "key": … }`, an API key or a browser token, or `{ "token": … }`
 * from a link that signs in once, and answers 200 with `expiresAt` and the cookie of a session; `DELETE` takes the cookie
 * away.
 */
export async function serveSession(
  request: IncomingMessage,
  response: ServerResponse,
  options: SessionRoutesOptions,
): Promise<void> {
  try {
    const answer = await answerSession(request, options);
    response.writeHead(answer.status, {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      ...(answer.cookies && { 'set-cookie': answer.cookies }),
    });
    response.end(answer.body && JSON.stringify(answer.body));
  } catch (error) {
    const { message } = error as Error;
    options.lines.write('error', message, { error: message }, 'session.failed');
    response.writeHead(503, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ message: 'Signing in is not possible now. Try again later.' }));
  }
}

async function answerSession(request: IncomingMessage, options: SessionRoutesOptions): Promise<Answer> {
  const header = headersOf(request.headers);
  if (!isOfThisHost(header)) return refuse(403, describeForeignPage(header));
  if (request.method === 'DELETE') return { status: 204, cookies: clearCookies() };
  if (request.method !== 'POST') return refuse(405, 'Sign in with POST, out with DELETE.');
  return signIn(request, header, options);
}

async function signIn(
  request: IncomingMessage,
  header: Headers,
  { authenticator, signInTokens, gate, behindTls }: SessionRoutesOptions,
): Promise<Answer> {
  const secure = behindTls || isSecure(header);
  if (!secure && !isLoopback(header)) {
    return refuse(400, 'Sign in over https: over plain http the key could be read on its way.');
  }
  if (!/^application\/json\b/i.test(header('content-type') ?? '')) {
    return refuse(415, 'Send JSON, with content-type: application/json.');
  }
  const length = Number(header('content-length') ?? Number.NaN);
  if (!(length <= SESSION_BYTES_MAX)) return refuse(413, `Send at most ${SESSION_BYTES_MAX} bytes.`);
  const body = bodySchema.safeParse(await json(request).catch(() => null));
  if (!body.success) return refuse(400, 'Send {"key": "…"} with an API key or a browser token.');
  try {
    const given = body.data;
    const secret = 'key' in given ? given.key : given.token;
    const { session, expiresAt } = await gate.guard(secret, request, () =>
      authenticator.openSession('key' in given ? given.key : redeem(signInTokens, given.token)),
    );
    return { status: 200, body: { expiresAt }, cookies: [writeCookie(session, { expiresAt, isSecure: secure })] };
  } catch (error) {
    if (error instanceof RequestError) return refuse(error.code === 'RATE_LIMITED' ? 429 : 401, error.message);
    if (isDatabaseUnavailable(error)) return refuse(503, 'The database is not available now. Try again in a second.');
    throw error;
  }
}

/** @throws {RequestError} UNAUTHENTICATED */
function redeem(signInTokens: SignInTokens, token: string): string {
  const key = signInTokens.redeem(token);
  if (key !== null) return key;
  throw new RequestError('UNAUTHENTICATED', 'This link was used before, or is too old. Sign in with an API key.');
}

const refuse = (status: number, message: string): Answer => ({ status, body: { message } });
