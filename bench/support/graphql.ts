import { ROOT_KEY } from './processes.ts';

/** Runs an operation that must succeed, and gives the value of its one field. @param environmentId @default the default one */
// biome-ignore lint/suspicious/noExplicitAny: the caller knows what it asked for
export async function ask(url: string, query: string, variables: object, environmentId?: string): Promise<any> {
  const environment: Record<string, string> = environmentId === undefined ? {} : { 'x-environment-id': environmentId };
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${ROOT_KEY}`, ...environment },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data?: object; errors?: unknown };
  if (errors) throw new Error(`The server answered ${JSON.stringify(errors)}.`);
  return Object.values(data ?? {})[0];
}

export interface EndpointInput {
  url: string;
  /** Left out: every type. */
  eventTypes?: string[];
  rateLimitPerSecond?: number;
}

export async function createEndpoint(url: string, input: EndpointInput, environmentId?: string): Promise<void> {
  const query = `mutation ($input: CreateEndpointInput!) { createEndpoint(input: $input) { __typename } }`;
  const { __typename } = await ask(url, query, { input }, environmentId);
  if (__typename !== 'CreateEndpointPayload') throw new Error(`createEndpoint answered ${__typename}.`);
}

/** Makes an organization. @returns the public ID of its environment */
export async function createEnvironment(url: string, name: string): Promise<string> {
  const query = `mutation ($name: String!) {
    createOrganization(input: { name: $name }) { ... on CreateOrganizationPayload { environment { id } } } }`;
  return (await ask(url, query, { name })).environment.id;
}

export interface EventInput {
  type: string;
  payload: object;
}

/** A payload of 1 KB. */
export const PAYLOAD = { text: 'x'.repeat(1_000) };

/** The body of a request that publishes one event, answered with a `PublishEventPayload`. */
export const publishBody = (input: EventInput): string =>
  JSON.stringify({
    query: `mutation ($input: PublishEventInput!) {
      publishEvent(input: $input) { __typename ... on PublishEventPayload { duplicate event { id } } } }`,
    variables: { input },
  });

/** The body of a request that publishes many events, answered with a `PublishEventsPayload`. */
export const publishManyBody = (events: EventInput[]): string =>
  JSON.stringify({ query: PUBLISH_MANY, variables: { events } });

const PUBLISH_MANY = `mutation ($events: [PublishEventInput!]!) {
  publishEvents(input: { events: $events }) { __typename } }`;

/** Publishes many events in one transaction. */
export async function publishEvents(url: string, events: EventInput[]): Promise<void> {
  const { __typename } = await ask(url, PUBLISH_MANY, { events });
  if (__typename !== 'PublishEventsPayload') throw new Error(`publishEvents answered ${__typename}.`);
}
