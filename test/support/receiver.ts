import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { until } from './posthorn.ts';

/** A request as it arrived. */
export interface ReceivedRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
  receivedAt: number;
}

export interface ReceiverAnswer {
  /** @default 200 */
  status?: number;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

/** What to answer; a promise holds the answer back, and `never` hangs up on nobody and says nothing. */
export type Answerer = (request: ReceivedRequest) => ReceiverAnswer | Promise<ReceiverAnswer> | 'never';

/** A real HTTP server that keeps what it gets. */
export class Receiver {
  requests: ReceivedRequest[] = [];
  answer: Answerer = () => ({});
  #server!: Server;

  async start(): Promise<void> {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const received = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks),
        receivedAt: Date.now(),
      };
      this.requests.push(received);
      const answer = await this.answer(received);
      if (answer === 'never') return;
      response.writeHead(answer.status ?? 200, answer.headers).end(answer.body ?? 'ok');
    });
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  url(path = '/'): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  /** Requests to a path. */
  to(path: string): ReceivedRequest[] {
    return this.requests.filter((request) => request.path === path);
  }

  /** Waits for so many requests, to a path where one is given. */
  waitFor(count: number, path?: string): Promise<ReceivedRequest[]> {
    return until(
      () => {
        const requests = path === undefined ? this.requests : this.to(path);
        return requests.length >= count && requests;
      },
      `${count} requests${path ? ` to ${path}` : ''}`,
    );
  }
}

/** A receiver for all tests of a file. What it got and how it answers begins anew with each test. */
export function useReceiver(): Receiver {
  const receiver = new Receiver();
  beforeAll(() => receiver.start());
  beforeEach(() => {
    receiver.requests = [];
    receiver.answer = () => ({});
  });
  afterAll(() => receiver.stop());
  return receiver;
}
