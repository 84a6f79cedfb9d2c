import { EventEmitter } from 'node:events';
import type { WebSocket as GraphqlSocket, Server } from 'graphql-ws';
import { expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { type ConnectionExtra, openGraphqlSocket, type SocketOptions } from '../../src/http/graphql-socket.ts';
import { RepeatedLines } from '../../src/http/repeated-lines.ts';
import { createLog } from '../../src/log.ts';

it('a message to a client who has not agreed to the close yet waits for the end: a feed ran through at full speed', async () => {
  const socket = Object.assign(new EventEmitter(), { OPEN: 1, CLOSING: 2, readyState: 2, protocol: '' });
  let graphqlSocket: GraphqlSocket | undefined;
  const server: Server<ConnectionExtra> = {
    opened: (opened) => {
      graphqlSocket = opened;
      return async () => {};
    },
  };
  const lines = new RepeatedLines(createLog('silent'));
  const options = { request: {}, connection: new EventEmitter(), lines } as unknown as SocketOptions;
  openGraphqlSocket(server, socket as unknown as WebSocket, options);
  let isSent = false;
  const sent = Promise.resolve(graphqlSocket?.send('text')).then(() => {
    isSent = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isSent).toBe(false);
  socket.emit('close', 4403, '');
  await sent;
  expect(isSent).toBe(true);
});
