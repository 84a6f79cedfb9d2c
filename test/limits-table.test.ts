import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ENVIRONMENTS_MAX } from '../src/access/organizations.ts';
import { readConfig } from '../src/config.ts';
import { FOUND_DELIVERIES_MAX } from '../src/deliver/change-found.ts';
import { CONNECT_MS_MAX } from '../src/deliver/connections.ts';
import { LOOKUP_MS_MAX, TTL_SECONDS_MAX } from '../src/deliver/name-resolver.ts';
import { ERROR_MAX_CHARS } from '../src/deliver/record-attempt.ts';
import { RESPONSE_BODY_BYTES_KEPT } from '../src/deliver/response-body.ts';
import {
  RESPONSE_BODY_BYTES_READ,
  RESPONSE_BYTES_MAX,
  RESPONSE_HEAD_BYTES_MAX,
} from '../src/deliver/response-limits.ts';
import { SET_ASIDE_MAX } from '../src/deliver/set-aside-outcomes.ts';
import { PEM_MAX_CHARS } from '../src/domain/client-certificate.ts';
import { EVENT_TYPE_MAX_CHARS } from '../src/domain/event-type.ts';
import { NAME_MAX_CHARS } from '../src/domain/validation.ts';
import { DELAYS_MAX, DESCRIPTION_MAX_CHARS, EVENT_TYPES_MAX, URL_MAX_CHARS } from '../src/endpoints/endpoint-input.ts';
import { DISABLED_REASON_MAX_CHARS } from '../src/endpoints/endpoints.ts';
import { ANSWER_BYTES_MAX, FAILED_FIELDS_MAX, RESOLVED_FIELDS_MAX } from '../src/graphql/answer.ts';
import * as cost from '../src/graphql/cost-limit.ts';
import { DELIVERY_COUNT_MAX } from '../src/graphql/delivery.ts';
import { FILTER_IDS_MAX } from '../src/graphql/delivery-filter.ts';
import { EVENTS_PER_PUBLISH_MAX } from '../src/graphql/event-mutations.ts';
import * as inputs from '../src/graphql/input-limits.ts';
import { PAGE_SIZE_MAX } from '../src/graphql/pages.ts';
import { BATCH_FIELDS_MAX } from '../src/graphql/subscribe.ts';
import { PROCESS_OUTPUT_BYTES_MAX, STALLED_MS_MAX } from '../src/http/connections.ts';
import { BURST_SECONDS, UNKNOWN_BURST, UNKNOWN_PER_SECOND } from '../src/http/gate.ts';
import { SUBSCRIPTION_REQUEST_BYTES_MAX } from '../src/http/graphql-handler.ts';
import { ERRORS_MAX, MESSAGE_CHARS_MAX } from '../src/http/present-errors.ts';
import { REQUEST_BYTES_MAX } from '../src/http/request-faults.ts';
import {
  JSON_KEYS_MAX,
  JSON_NESTING_MAX,
  JSON_PART_VALUES_MAX,
  JSON_TEXT_CHARS_MAX,
  JSON_VALUES_MAX,
} from '../src/http/request-json.ts';
import { CONNECTIONS_MAX, HEADER_BYTES_MAX, HEADERS_MAX, HEADERS_TIMEOUT_MS } from '../src/http/server.ts';
import { SUBSCRIPTION_BYTES_PER_KEY_MAX } from '../src/http/sessions.ts';
import * as flow from '../src/http/socket-flow.ts';
import * as messages from '../src/http/socket-messages.ts';
import {
  INIT_MS_MAX,
  MESSAGE_BYTES_MAX,
  OPERATION_BYTES_PER_SOCKET_MAX,
  OPERATIONS_PER_SOCKET_MAX,
} from '../src/http/websocket.ts';
import { CONTENT_TYPE_MAX_CHARS, EVENT_BODY_BYTES_MAX, KEY_MAX_CHARS } from '../src/publish/event-input.ts';
import { PENDING_EVENTS_MAX } from '../src/publish/publisher.ts';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

/** Rows of the tables: what is limited, its default, its setting. */
const rows = read('docs/LIMITS.md')
  .split('\n')
  .filter((line) => /^\| (?!limit)/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, what, number, setting]) => ({ what, number: Number(number?.replaceAll(',', '')), setting }));

const config = readConfig({});

const LIMITS: [what: string, number: number | null, setting?: string][] = [
  ['characters of a document', cost.DOCUMENT_CHARS_MAX],
  ['lines of a document', cost.DOCUMENT_LINES_MAX],
  ['characters of a name or number in a document', cost.NAME_CHARS_MAX],
  ['tokens of a document', cost.TOKENS_MAX],
  ['levels of brackets in a document', cost.NESTING_MAX],
  ['levels of fields', cost.DEPTH_MAX],
  ['fields,', cost.FIELDS_MAX],
  ['aliases', cost.ALIASES_MAX],
  ['directives', cost.DIRECTIVES_MAX],
  ['`__schema`', cost.INTROSPECTIONS_MAX],
  ['characters of a subscription', cost.SUBSCRIPTION_CHARS_MAX],
  ['bytes of a request that subscribes', SUBSCRIPTION_REQUEST_BYTES_MAX],
  ['complexity', config.complexityMax, 'POSTHORN_MAX_COMPLEXITY'],
  ['milliseconds until it is answered', config.operationTimeoutMs, 'POSTHORN_OPERATION_TIMEOUT_MS'],
  ['operations of a request', 1],
  ['items of a page', PAGE_SIZE_MAX],
  ['deliveries of one `retryDeliveries`', FOUND_DELIVERIES_MAX],
  ['bytes of texts and JSON values in an answer', ANSWER_BYTES_MAX],
  ['fields that are resolved for an operation', RESOLVED_FIELDS_MAX],
  ['fields that are resolved for one result', BATCH_FIELDS_MAX],
  ['fields that fail', FAILED_FIELDS_MAX],
  ['errors of an answer', ERRORS_MAX],
  ["characters of an error's message", MESSAGE_CHARS_MAX],
  ['entries of a list of enum values', inputs.ENUM_ENTRIES_MAX],
  ['IDs of a filter', FILTER_IDS_MAX],
  ['texts of a filter', inputs.FILTER_TEXTS_MAX],
  ["characters of a filter's text", inputs.FILTER_CHARS_MAX],
  ['characters of a cursor', inputs.CURSOR_CHARS_MAX],
  ['characters of an ID', inputs.WORD_CHARS_MAX],
  ['characters of a name', NAME_MAX_CHARS],
  ['characters of a URL', URL_MAX_CHARS],
  ['characters of a description', DESCRIPTION_MAX_CHARS],
  ['characters of a reason', DISABLED_REASON_MAX_CHARS],
  ['event types of an endpoint', EVENT_TYPES_MAX],
  ['characters of an event type', EVENT_TYPE_MAX_CHARS],
  ['delays of a retry policy', DELAYS_MAX],
  ['characters of a certificate', PEM_MAX_CHARS],
  ['events of one `publishEvents`', EVENTS_PER_PUBLISH_MAX],
  ["bytes of an event's body", EVENT_BODY_BYTES_MAX],
  ['values and keys of a JSON value', inputs.JSON_INPUT_MAX.values],
  ['values and keys of headers', inputs.HEADERS_INPUT_MAX.values],
  ['characters of a key', KEY_MAX_CHARS],
  ['characters of a content type', CONTENT_TYPE_MAX_CHARS],
  ['characters of a recorded error', ERROR_MAX_CHARS],
  ['JSON values and keys of a body', JSON_VALUES_MAX],
  ['JSON values and keys of one part', JSON_PART_VALUES_MAX],
  ['characters of one text in a body', JSON_TEXT_CHARS_MAX],
  ['keys of one object', JSON_KEYS_MAX],
  ['levels of brackets in a body', JSON_NESTING_MAX],
  ['deliveries that `deliveryCount` counts', DELIVERY_COUNT_MAX],
  ['environments of an organization', ENVIRONMENTS_MAX],
  ['bytes of a body', REQUEST_BYTES_MAX],
  ['bytes of a message', MESSAGE_BYTES_MAX],
  ['bytes of all headers', HEADER_BYTES_MAX],
  ['headers', HEADERS_MAX],
  ['milliseconds until all headers', HEADERS_TIMEOUT_MS],
  ['milliseconds until the body', config.requestTimeoutMs, 'POSTHORN_REQUEST_TIMEOUT_MS'],
  ['milliseconds for which waiting output', STALLED_MS_MAX],
  ['bytes of output that wait in a process', PROCESS_OUTPUT_BYTES_MAX],
  ['bytes of output that wait for a WebSocket', flow.OUTPUT_BYTES_MAX],
  ['messages and control frames', flow.MESSAGES_PER_SECOND_MAX],
  ['bytes of a WebSocket before', flow.BYTES_BEFORE_ACK_MAX],
  ['messages of a WebSocket before', messages.MESSAGES_BEFORE_ACK_MAX],
  ['milliseconds until `connection_init`', INIT_MS_MAX],
  ['bytes of a message `ping`', messages.CONTROL_MESSAGE_BYTES_MAX],
  ["characters of an operation's ID", messages.OPERATION_ID_CHARS_MAX],
  ['operations in progress', OPERATIONS_PER_SOCKET_MAX],
  ['bytes of the messages of those', OPERATION_BYTES_PER_SOCKET_MAX],
  ['requests a second of one API key', config.requestsPerSecondMax, 'POSTHORN_REQUESTS_PER_SECOND'],
  ['requests a second without a good key', UNKNOWN_PER_SECOND],
  ['WebSockets and SSE streams', config.connectionsPerKeyMax, 'POSTHORN_CONNECTIONS_PER_KEY'],
  ['subscriptions of one API key', config.subscriptionsPerKeyMax, 'POSTHORN_SUBSCRIPTIONS_PER_KEY'],
  ['bytes of the requests of those subscriptions', SUBSCRIPTION_BYTES_PER_KEY_MAX],
  ['connections to a process', CONNECTIONS_MAX],
  ['events that wait', PENDING_EVENTS_MAX],
  ['milliseconds of a look-up', LOOKUP_MS_MAX],
  ['seconds for which the addresses', TTL_SECONDS_MAX],
  ['milliseconds until a connection is made', CONNECT_MS_MAX],
  ['bytes of the head of an answer', RESPONSE_HEAD_BYTES_MAX],
  ["bytes of a response's body that are read", RESPONSE_BODY_BYTES_READ],
  ["bytes of a response's body that are kept", RESPONSE_BODY_BYTES_KEPT],
  ['bytes of an answer with all its framing', RESPONSE_BYTES_MAX],
  ['outcomes of a process', SET_ASIDE_MAX],
];

describe('docs/LIMITS.md', () => {
  it.each(LIMITS)('tells the limit that is in force: %s', (what, number, setting) => {
    const row = rows.find((one) => one.what === what) ?? rows.find((one) => one.what?.startsWith(what));
    expect(row).toMatchObject({ number, setting: setting ? `\`${setting}\`` : '' });
    if (setting) expect(read('README.md')).toContain(`\`${setting}\``);
  });

  it('tells no other, and the bursts in words', () => {
    expect(rows).toHaveLength(LIMITS.length);
    expect(BURST_SECONDS).toBe(2);
    expect(UNKNOWN_BURST).toBe(10 * UNKNOWN_PER_SECOND);
  });
});
