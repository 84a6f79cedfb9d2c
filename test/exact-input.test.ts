import { beforeAll, describe, expect, it } from 'vitest';
import { ROOT_KEY, until, useTestBed } from './support/posthorn.ts';
import { useReceiver } from './support/receiver.ts';
import { askOver, TRANSPORTS } from './support/transports.ts';

const bed = useTestBed();
const receiver = useReceiver();

beforeAll(async () => {
  await bed.createEndpoint({ url: receiver.url('/numbers'), eventTypes: ['numbers.*'] });
});

const PUBLISH = `mutation ($input: PublishEventInput!) { publishEvent(input: $input) {
  ... on PublishEventPayload { duplicate event { id body payload } } ... on Error { message }
  ... on IdempotencyConflictError { event { id } } } }`;

/** Sends a request as text: what is written as numbers in it must not be touched on the way. */
async function post(body: string): Promise<string> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${ROOT_KEY}` };
  return (await fetch(`${bed.url}/graphql`, { method: 'POST', headers, body })).text();
}

const publishText = (payload: string, rest = '') =>
  post(
    `{"query":${JSON.stringify(PUBLISH)},"variables":{"input":{"type":"numbers.sent","payload":${payload}${rest}}}}`,
  );

const idOf = (answer: string) => /"id":"(evt_\w+)"/.exec(answer)?.[1] as string;

const INEXACT = [
  '{"a":1e400}',
  '[1,-1e400]',
  '1e400',
  '12345678901234567890',
  '{"a":[0.1000000000000000055511151231257827]}',
  '{"id":9007199254740993,"ok":1.5}',
];

describe('a number that a double does not hold', () => {
  it.each(INEXACT)('is stored, delivered and read as it was written in a payload: %s', async (payload) => {
    const answer = await publishText(payload);
    expect(answer).toContain(`"body":${JSON.stringify(payload)},"payload":${payload}}`);
    const read = await post(JSON.stringify({ query: `{ event(id: "${idOf(answer)}") { body payload } }` }));
    expect(read).toBe(`{"data":{"event":{"body":${JSON.stringify(payload)},"payload":${payload}}}}`);
    const isIt = ({ headers }: { headers: object }) => Object.values(headers).includes(idOf(answer));
    const delivered = await until(() => receiver.requests.find(isIt), 'the delivery');
    expect(delivered.body.toString()).toBe(payload);
  });

  it.each(['12345678901234567890', '-1e400', '0.1000000000000000055511151231257827'])(
    'is kept as it was written in a literal of a document: %s',
    async (number) => {
      const query = `mutation { publishEvent(input: { type: "numbers.literal", payload: { a: [${number}] } }) {
        ... on PublishEventPayload { event { body } } } }`;
      expect(await post(JSON.stringify({ query }))).toContain(`{\\"a\\":[${number}]}`);
    },
  );

  it.each(['5.0', '1E2', '-0', '0.1', '1e-2'])(
    'is another than %s, which means the same as its double',
    async (number) => {
      expect(await publishText(`[${number}]`)).toContain(`"body":"[${JSON.stringify(Number(number))}]"`);
    },
  );

  it('is read as it is from a body that was sent as text, with white space taken away', async () => {
    const body = `{\n  "id": 12345678901234567890,\n  "text": "a  b\\n"\n}`;
    const { id } = await bed.publish({ type: 'numbers.body', body });
    const read = await post(JSON.stringify({ query: `{ event(id: "${id}") { body payload } }` }));
    expect(read).toContain(`"payload":{"id":12345678901234567890,"text":"a  b\\n"}`);
    expect(read).toContain(JSON.stringify(body));
  });
});

describe('a large body', () => {
  const text = `${'"'.repeat(50_000)}\u0001ä日\n`;
  const json = `[ ${'[ ], '.repeat(20_000)}"${'ä'.repeat(5_000)}\\u2028" ]`;

  it.each(TRANSPORTS)('is answered exactly, under every alias: over %s', async (transport) => {
    const { id: textId } = await bed.publish({ type: 'large', body: text, contentType: 'text/plain' });
    const { id: jsonId } = await bed.publish({ type: 'large', body: json });
    const query = `query ($text: ID!, $json: ID!) {
      text: event(id: $text) { body a: body payload } json: event(id: $json) { body payload b: payload } }`;
    const { data } = await askOver(bed, { transport, query, variables: { text: textId, json: jsonId } });
    expect(data.text).toEqual({ body: text, a: text, payload: text });
    expect(data.json).toEqual({ body: json, payload: JSON.parse(json), b: JSON.parse(json) });
  });

  it.each(TRANSPORTS)('is answered next to errors as well: over %s', async (transport) => {
    const { id } = await bed.publish({ type: 'large', body: json });
    const query = 'query ($id: ID!) { event(id: $id) { payload } wrong: event(id: "x") { id } }';
    const { data, errors } = await askOver(bed, { transport, query, variables: { id } });
    expect(data).toEqual({ event: { payload: JSON.parse(json) }, wrong: null });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
  });

  it.each(['WebSocket', 'SSE'] as const)('is answered by subscriptions: over %s', async (transport) => {
    const { id } = await bed.publish({ type: 'large', body: json });
    const query = 'subscription ($id: ID!) { eventChanges(eventId: $id) { event { payload body } } }';
    const { data } = await askOver(bed, { transport, query, variables: { id } });
    expect(data.eventChanges.event).toEqual({ payload: JSON.parse(json), body: json });
  });
});
