import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { readCommandLine, USAGE_EXIT_CODE } from '../src/cli/command.ts';
import { verifyWebhook } from './signatures/verify.ts';

const HELP = `A tiny receiver to send webhooks to. Prints what arrives.

  npm run receiver -- [options]

  --port N       where it listens, on 127.0.0.1 (default 4400)
  --secret S     the endpoint's secret (whsec_…), or its public key (whpk_…): tells whether signatures verify
  --status N     what it answers (default 200); a request may ask for another with ?status=N
  --delay MS     how long it waits before it answers (default 0); likewise ?delay=MS
  --quiet        prints one line for each request, without headers and body
  --help         this text
`;

const { values } = readCommandLine({
  usage: 'npm run receiver --',
  help: HELP,
  options: {
    port: { type: 'string', default: '4400' },
    secret: { type: 'string' },
    status: { type: 'string', default: '200' },
    delay: { type: 'string', default: '0' },
    quiet: { type: 'boolean', default: false },
  },
});

/** Ends the command if a number is out of range. */
function refuseOtherThan(flag: 'port' | 'status' | 'delay', [min, max]: [number, number]) {
  const value = Number(values[flag]);
  if (/^\d+$/.test(values[flag]) && value >= min && value <= max) return;
  process.stderr.write(`--${flag} must be a whole number from ${min} to ${max}.\n`);
  process.exit(USAGE_EXIT_CODE);
}
refuseOtherThan('port', [0, 65_535]);
refuseOtherThan('status', [200, 599]);
refuseOtherThan('delay', [0, 600_000]);

/** Whether a request carries a valid signature of the secret, in words. Its age does not matter here. */
function checkSignature(request: IncomingMessage, body: Buffer): string {
  if (!values.secret) return 'signature not checked (start with --secret)';
  try {
    verifyWebhook(values.secret, request.headers, body, Number.POSITIVE_INFINITY);
    return 'signature verifies';
  } catch (error) {
    return `SIGNATURE DOES NOT VERIFY: ${(error as Error).message}`;
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** A whole number within bounds, or the fallback. */
const readNumber = (text: string | null, fallback: number, [min, max]: [number, number]) =>
  text !== null && /^\d+$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : fallback;

let count = 0;
const server = createServer(async (request, response) => {
  const url = new URL(request.url ?? '/', 'http://receiver');
  const body = await readBody(request);
  const status = readNumber(url.searchParams.get('status'), readNumber(values.status, 200, [200, 599]), [200, 599]);
  const delayMs = readNumber(url.searchParams.get('delay'), Number(values.delay), [0, 600_000]);
  count += 1;
  process.stdout.write(
    `#${count} ${request.method} ${request.url}  ${request.headers['webhook-id'] ?? 'no webhook-id'}  ${checkSignature(request, body)}  -> ${status}${delayMs ? ` after ${delayMs} ms` : ''}\n`,
  );
  if (!values.quiet) {
    for (const [name, value] of Object.entries(request.headers)) process.stdout.write(`   ${name}: ${value}\n`);
    process.stdout.write(`\n   ${body.toString('utf8')}\n\n`);
  }
  await sleep(delayMs);
  response.writeHead(status, { 'content-type': 'text/plain' }).end('received\n');
});

server.on('error', (error) => {
  process.stderr.write(`Can't listen on port ${values.port}: ${error.message}. Choose another with --port.\n`);
  process.exit(1);
});
server.listen(Number(values.port), '127.0.0.1', () => {
  process.stdout.write(`Receiver is ready: http://127.0.0.1:${(server.address() as AddressInfo).port}/\n`);
});
