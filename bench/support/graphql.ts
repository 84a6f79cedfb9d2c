import { ROOT_KEY } from './processes.ts';

/** Runs an operation that must succeed, and gives the value of its one field. */
// biome-ignore lint/suspicious/noExplicitAny: the caller knows what it asked for
export async function ask(url: string, query: string, variables: object): Promise<any> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${ROOT_KEY}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data?: object; errors?: unknown };
  if (errors) throw new Error(`The server answered ${JSON.stringify(errors)}.`);
  return Object.values(data ?? {})[0];
}

export async function createEndpoint(url: string, input: { url: string; eventTypes?: string[] }): Promise<void> {
  const query = `mutation ($input: CreateEndpointInput!) { createEndpoint(input: $input) { __typename } }`;
  const { __typename } = await ask(url, query, { input });
  if (__typename !== 'CreateEndpointPayload') throw new Error(`createEndpoint answered ${__typename}.`);
}
