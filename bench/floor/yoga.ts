import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createYoga } from 'graphql-yoga';
import { schema } from '../../src/graphql/schema.ts';

/**
 * Yoga as it comes, with Posthorn's schema. Posthorn turns some of Yoga's defaults off, which makes `{ __typename }` of
 * its own server faster than this, and its ratios smaller than against a stock Yoga.
 */
const server = createServer(createYoga({ schema }));
process.on('disconnect', () => process.exit());
server.listen(0, '127.0.0.1');
await once(server, 'listening');
process.send?.({ port: (server.address() as AddressInfo).port });
