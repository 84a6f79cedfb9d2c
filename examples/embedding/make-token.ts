/** What your own server knows of Posthorn. */
export interface PosthornOptions {
  /** For example `https://posthorn.example.com`. */
  url: string;
  /** An API key with DELIVERIES_READ, and DELIVERIES_RETRY where customers may retry. It never leaves your server. */
  apiKey: string;
}

export interface BrowserToken {
  token: string;
  expiresAt: string;
}

/** Runs on your server, for a customer who is signed in to your product: makes a token for that customer's endpoint. */
export async function makeToken({ url, apiKey }: PosthornOptions, endpointId: string): Promise<BrowserToken> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({
      query: `mutation ($endpointId: ID!) {
        createBrowserToken(input: { endpointId: $endpointId, expiresInSeconds: 900, allowRetry: true }) {
          ... on CreateBrowserTokenPayload { token expiresAt }
          ... on Error { message }
        }
      }`,
      variables: { endpointId },
    }),
  });
  const { data, errors } = await response.json();
  const made = data?.createBrowserToken;
  if (!made?.token) throw new Error(made?.message ?? errors[0].message);
  return made;
}
