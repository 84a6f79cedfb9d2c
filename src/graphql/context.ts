import type DataLoader from 'dataloader';
import type { Authenticator } from '../access/authenticate.ts';
import type { Caller } from '../access/caller.ts';
import type { DeliveryChangerOptions } from '../deliver/change-deliveries.ts';
import type { Endpoints } from '../endpoints/endpoints.ts';
import type { PrismaClient } from '../generated/prisma/client.ts';
import type { ChangeFeed } from '../live/change-feed.ts';
import type { EndpointFeed } from '../live/endpoint-feed.ts';
import type { HealthWatches } from '../live/health-watch.ts';
import type { StatsWatches } from '../live/stats-watch.ts';
import type { Log } from '../log.ts';
import type { Publisher } from '../publish/publisher.ts';
import type { Answer } from './answer.ts';
import type { MutationIssues } from './check-inputs.ts';
import type { EventContents } from './event-content.ts';
import type { EventSummary } from './event-summary.ts';
import type { NestedPage } from './pages.ts';
import type { StatsHistory } from './stats-history.ts';

/** What resolvers call. Made once a process. */
export interface Services {
  prisma: PrismaClient;
  authenticator: Authenticator;
  publisher: Publisher;
  endpoints: Endpoints;
  deliveries: DeliveryChangerOptions;
  feed: ChangeFeed;
  endpointFeed: EndpointFeed;
  stats: StatsWatches;
  health: HealthWatches;
  /** Cost that an operation may have: a field is 1, and below a connection it counts as often as the page is long. */
  complexityMax: number;
  log: Log;
}

/** What every resolver gets. Made once a request, or once an operation of a WebSocket. */
export interface Context {
  services: Services;
  caller: Caller;
  requestId: string;
  /** When the execution began: the same for everything that it selects. */
  now: Date;
  /** Where a stream of server-sent events that broke off had come to; null: it begins. */
  lastEventId: string | null;
  /** What is too large in inputs of the operation's mutations. */
  largeInputs?: MutationIssues | null;
  /** The same for another execution, with nothing loaded yet. @param as another caller */
  makeFresh: (as?: Caller) => Context;
  /** What was answered so far. */
  answer: Answer;
  /** Bodies of events. */
  eventContents: EventContents;
  loaders: {
    eventSummary: DataLoader<string, EventSummary>;
    /** Pages of connections below a list, by path and arguments. */
    pages: Map<string, DataLoader<string, NestedPage<{ id: string }>>>;
    /** Statistics of endpoints, by window. */
    endpointStats: Map<string, DataLoader<string, StatsHistory>>;
  };
}
