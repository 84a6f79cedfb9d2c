// Written by `npm run documents:print`.
import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** Why an attempt failed. */
export type AttemptErrorCode =
  /** The address or the port is one that deliveries must not reach. */
  | 'BLOCKED_ADDRESS'
  /** No connection, or it broke before an answer came. */
  | 'CONNECTION'
  /** The host's name could not be resolved. */
  | 'DNS'
  /** An attempt made elsewhere failed for the reason in the message. */
  | 'EXTERNAL'
  /** A response came, and its status is not 2xx. */
  | 'HTTP_STATUS'
  /** The answer was not HTTP, or larger than what is read before its status counts. */
  | 'INVALID_RESPONSE'
  /** No response came within the endpoint's timeout. */
  | 'TIMEOUT'
  /** No secure connection: the certificate or the handshake failed. */
  | 'TLS';

/** How an attempt ended. */
export type AttemptStatus =
  /** Anything else. */
  | 'FAILED'
  /** The answer was 2xx. */
  | 'SUCCEEDED';

/** What brought an attempt about. */
export type AttemptTrigger =
  /** Made elsewhere and recorded here. */
  | 'EXTERNAL'
  /** The first one of a delivery. */
  | 'INITIAL'
  /** A retry by hand. */
  | 'MANUAL'
  /** An automatic retry. */
  | 'RETRY';

/** What `cancelDeliveries` takes. */
export type CancelDeliveriesInput = {
  /** Only deliveries behind this cursor of the list: `endCursor` of the call before. */
  after?: string | null | undefined;
  /** Which deliveries; an empty one: all that the caller may see. */
  filter: DeliveryFilter;
  /** How many deliveries to look at in this call: 1 to 500; left out: 100. */
  first?: number | null | undefined;
};

/** What `cancelDelivery` takes. */
export type CancelDeliveryInput = {
  /** The delivery to end. */
  deliveryId: string;
};

/** What Posthorn shows of itself in TLS to the server of an https endpoint that asks for it (mutual TLS). */
export type ClientCertificateInput = {
  /** In PEM, with the certificates that lead to its authority behind it, where the server needs them. */
  certificate: string;
  /** In PEM, without a passphrase. Stored encrypted, never read back. */
  privateKey: string;
};

/** What `createApiKey` takes. */
export type CreateApiKeyInput = {
  /** The environment that the key is to act in. */
  environmentId: string;
  /** When it expires, in the future. If omitted, never. If your own key expires, required, and at most when it does. */
  expiresAt?: string | null | undefined;
  /** What it is for: 1 to 128 characters. */
  name: string;
  /** What it may do: at least one, and none that your own key lacks. */
  scopes: Array<Scope>;
};

/** What `createEndpoint` takes. */
export type CreateEndpointInput = {
  /** Authorities in PEM that the certificate of an https endpoint must be of; left out: the public ones. */
  caCertificate?: string | null | undefined;
  /** What Posthorn shows of itself in TLS; left out: nothing. */
  clientCertificate?: ClientCertificateInput | null | undefined;
  /** What it is for. */
  description?: string | null | undefined;
  /** Event types, `*`, or `prefix.*`. Left out: every type. Operational events have to be asked for: `posthorn.*`. */
  eventTypes?: Array<string> | null | undefined;
  /** Header names and values sent with every attempt: an object, 32 at most. Stored encrypted. */
  headers?: unknown;
  /** The method of requests; left out: POST. */
  method?: HttpMethod | null | undefined;
  /** Its name, for people; left out: the host of the URL. */
  name?: string | null | undefined;
  /** Attempts a second at the most, 0.001 to 10,000; left out: no limit. */
  rateLimitPerSecond?: number | null | undefined;
  /** Retries; left out: the default schedule. */
  retryPolicy?: RetryPolicyInput | null | undefined;
  /** `whsec_` and base64 of 24 to 64 bytes, or `whsk_` and base64 of an Ed25519 private key: its 32 bytes, or 64 with the public key behind; left out: one is made. */
  secret?: string | null | undefined;
  /** How the secret signs; left out: as the secret given does, else HMAC_SHA256. */
  signatureKind?: SignatureKind | null | undefined;
  /** How long an attempt may take, 100 to 60,000 ms; left out: 15,000. */
  timeoutMs?: number | null | undefined;
  /** Where requests go: http or https, without credentials. */
  url: string;
};

/** What `createEnvironment` takes. */
export type CreateEnvironmentInput = {
  /** Its name: 1 to 128 characters, unique in the organization. */
  name: string;
  /** Organization that it is to be part of. */
  organizationId: string;
};

/** What `createOrganization` takes. */
export type CreateOrganizationInput = {
  /** Its name, for people: 1 to 128 characters. */
  name: string;
};

/** Which changes to follow: all that is given must fit. */
export type DeliveryChangeFilter = {
  /** Of this delivery. */
  deliveryId?: string | null | undefined;
  /** Of deliveries to this endpoint, also a deleted one. */
  endpointId?: string | null | undefined;
  /** Of deliveries of this event. */
  eventId?: string | null | undefined;
  /** To one of these statuses: at least one. */
  statuses?: Array<DeliveryStatus> | null | undefined;
};

/** Which deliveries: all that is given must fit. */
export type DeliveryFilter = {
  /** Made after this time. */
  createdAfter?: string | null | undefined;
  /** Made before this time. */
  createdBefore?: string | null | undefined;
  /** To this endpoint, also a deleted one. */
  endpointId?: string | null | undefined;
  /** Of this event. */
  eventId?: string | null | undefined;
  /** Of events of one of these types, each in full. */
  eventTypes?: Array<string> | null | undefined;
  /** One of these: 1 to 500. */
  ids?: Array<string> | null | undefined;
  /** Whose last attempt was answered with this status, 100 to 599. */
  responseStatus?: number | null | undefined;
  /** Of events with this key, the producer's own of what they are about. */
  sourceKey?: string | null | undefined;
  /** In one of these statuses. */
  statuses?: Array<DeliveryStatus> | null | undefined;
};

/** How far a delivery has come. */
export type DeliveryStatus =
  /** Somebody ended it by hand. */
  | 'CANCELED'
  /** An attempt succeeded. */
  | 'DELIVERED'
  /** No retry is left or the failure can't be retried: a dead letter. */
  | 'FAILED'
  /** Its endpoint is paused. */
  | 'HELD'
  /** Queued: an attempt is due now or in flight. */
  | 'PENDING'
  /** The last attempt failed; the next one is due at nextAttemptAt. */
  | 'RETRYING'
  /** Its endpoint was disabled or deleted when its turn came. */
  | 'SKIPPED';

/** What happened to an endpoint. */
export type EndpointChangeKind =
  /** Its last 20 attempts or more failed: it gets one at a time from now on, with rests between, and what waits keeps its retries. */
  | 'BACKED_OFF'
  /** It was made. */
  | 'CREATED'
  /** It was deleted. */
  | 'DELETED'
  /** It was disabled, by hand or by Posthorn: the reason tells. */
  | 'DISABLED'
  /** It was enabled. */
  | 'ENABLED'
  /** It was paused. */
  | 'PAUSED'
  /** An attempt succeeded after it was backed off: all that waits goes out. */
  | 'RECOVERED'
  /** It was resumed. */
  | 'RESUMED'
  /** It was given a new secret. */
  | 'SECRET_ROTATED'
  /** Something of it was changed: address, event types, headers, limits, name. */
  | 'UPDATED';

/** Which endpoints to list: all that is given must fit. */
export type EndpointFilter = {
  /** Receives events of this type. */
  eventType?: string | null | undefined;
  /** One of these statuses. */
  statuses?: Array<EndpointStatus> | null | undefined;
};

/** How an endpoint fares. Where several fit, it is the first in this order: DISABLED, PAUSED, FAILING, IDLE. */
export type EndpointHealthState =
  /** It is disabled, or deleted: deliveries are skipped. */
  | 'DISABLED'
  /** Its newest 5 attempts or more failed, however long ago; or more than half of its attempts of the last 5 minutes did, where there were 10 or more. */
  | 'FAILING'
  /** None of the others: attempts are made or wait to be made, and they arrive. */
  | 'HEALTHY'
  /** No attempt in the last 5 minutes, and nothing waits. */
  | 'IDLE'
  /** It is paused: deliveries are held. */
  | 'PAUSED';

/** Whether an endpoint takes deliveries. */
export type EndpointStatus =
  /** Deliveries go out. */
  | 'ACTIVE'
  /** Deliveries are kept as SKIPPED, visible and retryable once the endpoint is enabled. */
  | 'DISABLED'
  /** Deliveries are kept as HELD and go out when the endpoint is resumed. */
  | 'PAUSED';

/** Which events to list: all that is given must fit. */
export type EventFilter = {
  /** Published after this time. */
  createdAfter?: string | null | undefined;
  /** Published before this time. */
  createdBefore?: string | null | undefined;
  /** The producer's own key of what they are about. */
  sourceKey?: string | null | undefined;
  /** One of these statuses. */
  statuses?: Array<EventStatus> | null | undefined;
  /** One of these types, each in full. */
  types?: Array<string> | null | undefined;
};

/** The workflow step that publishes the event. Each up to 256 characters. */
export type EventSourceInput = {
  /** The step in it. */
  nodeId?: string | null | undefined;
  /** Its run. */
  runId?: string | null | undefined;
  /** The workflow. */
  workflowId?: string | null | undefined;
};

/** How far an event has come, over all its deliveries. */
export type EventStatus =
  /** Every delivery is at its end; at least one delivered and none failed. */
  | 'DELIVERED'
  /** Every delivery is at its end; at least one failed. */
  | 'FAILED'
  /** At least one delivery is not at its end. */
  | 'PENDING'
  /** Nothing was or will be sent: no endpoint matched, or every delivery was skipped or canceled. */
  | 'SKIPPED';

/** The method of requests to an endpoint. */
export type HttpMethod =
  /** Patch. */
  | 'PATCH'
  /** The usual one. */
  | 'POST'
  /** Put. */
  | 'PUT';

/** Why a delivery can not be retried by hand. */
export type NotRetryableReason =
  /** An attempt is queued or in flight. */
  | 'ALREADY_QUEUED'
  /** The endpoint was deleted. */
  | 'ENDPOINT_DELETED'
  /** The endpoint is disabled. Enable it first. */
  | 'ENDPOINT_DISABLED'
  /** The endpoint is paused. Resume it first. */
  | 'ENDPOINT_PAUSED';

/** An event to publish. Exactly one of payload and body, 256 KiB at most. */
export type PublishEventInput = {
  /** Sent to the letter. */
  body?: string | null | undefined;
  /** Content type of the body; left out: `application/json`. */
  contentType?: string | null | undefined;
  /** The one endpoint to send it to, whatever event types that takes: for test events and the like. Left out: every endpoint that takes its type. */
  endpointId?: string | null | undefined;
  /** Makes publishing twice store once: 1 to 256 characters. Kept for as long as the event. Of a `payload`, equal JSON values are the same content, whatever the order of keys; of a `body`, equal bytes. */
  idempotencyKey?: string | null | undefined;
  /** Any JSON value but null; sent as compact JSON. */
  payload?: unknown;
  /** The workflow step that publishes it. */
  source?: EventSourceInput | null | undefined;
  /** Your own key of what the event is about: 1 to 256 characters. */
  sourceKey?: string | null | undefined;
  /** Its type: words of letters, digits, `_` and `-` joined by dots, for example `invoice.paid`. */
  type: string;
};

/** What `retryDeliveries` takes. */
export type RetryDeliveriesInput = {
  /** Only deliveries behind this cursor of the list: `endCursor` of the call before. */
  after?: string | null | undefined;
  /** Which deliveries; an empty one: all that the caller may see. */
  filter: DeliveryFilter;
  /** How many deliveries to look at in this call: 1 to 500; left out: 100. */
  first?: number | null | undefined;
  /** Gives each delivery its whole retry schedule again; left out: one attempt. */
  restartSchedule?: boolean | null | undefined;
};

/** What `retryDelivery` takes. */
export type RetryDeliveryInput = {
  /** The delivery to retry. */
  deliveryId: string;
  /** Gives the delivery its whole retry schedule again; left out: one attempt. */
  restartSchedule?: boolean | null | undefined;
};

/** What `retryEvent` takes. */
export type RetryEventInput = {
  /** The one endpoint to send it to. Left out: every active endpoint that the event matches today, also those added since it was published; an event that was published for one endpoint goes to that one. */
  endpointId?: string | null | undefined;
  /** The event to send again. */
  eventId: string;
};

/** When and how often a delivery is tried again. What is left out stays, or is the default. */
export type RetryPolicyInput = {
  /** Delay before retry n, in seconds, each from 1 to 604,800 (7 days); the last one repeats. Default: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h. */
  delaysSeconds?: Array<number> | null | undefined;
  /** Each delay is drawn from delay * [1 - jitter, 1 + jitter], 0 to 1. Default: 0.2. */
  jitter?: number | null | undefined;
  /** Automatic retries, 0 to 50. Default: 9. */
  maxRetries?: number | null | undefined;
};

/** What `rotateEndpointSecret` takes. */
export type RotateEndpointSecretInput = {
  /** The endpoint. */
  endpointId: string;
  /** How long the old secret goes on signing beside the new one, 0 to 604,800; left out: 86,400 (24 h). */
  overlapSeconds?: number | null | undefined;
  /** The new secret: `whsec_` and base64 of 24 to 64 bytes, or `whsk_` and base64 of an Ed25519 private key: its 32 bytes, or 64 with the public key behind; left out: one is made. */
  secret?: string | null | undefined;
  /** How the new secret signs; left out: as the secret given does, else as the current one. */
  signatureKind?: SignatureKind | null | undefined;
};

/** What an API key may do. */
export type Scope =
  /** Make environments, and make and revoke API keys. */
  | 'API_KEYS_MANAGE'
  /** Read events, deliveries, attempts and endpoints, and follow live feeds. */
  | 'DELIVERIES_READ'
  /** Retry, cancel and record deliveries, and read what these answer. */
  | 'DELIVERIES_RETRY'
  /** Read and change endpoints. */
  | 'ENDPOINTS_MANAGE'
  /** Publish events. */
  | 'EVENTS_PUBLISH';

/** How a secret signs, as Standard Webhooks has it. */
export type SignatureKind =
  /** Asymmetric, `v1a`: whoever verifies needs the public key alone (`whpk_…`). */
  | 'ED25519'
  /** Symmetric, `v1`: whoever verifies needs the secret itself (`whsec_…`). */
  | 'HMAC_SHA256';

/** What `updateEndpoint` takes. What is left out stays as it is. */
export type UpdateEndpointInput = {
  /** Authorities in PEM that the certificate of an https endpoint must be of; null: the public ones. */
  caCertificate?: string | null | undefined;
  /** What Posthorn shows of itself in TLS; null takes it away. */
  clientCertificate?: ClientCertificateInput | null | undefined;
  /** What it is for; null takes it away. */
  description?: string | null | undefined;
  /** The endpoint to change. */
  endpointId: string;
  /** Event types, `*`, or `prefix.*`. Takes the place of those there are. */
  eventTypes?: Array<string> | null | undefined;
  /** Takes the place of all headers there are, values included; null takes them away. */
  headers?: unknown;
  /** The method of requests. */
  method?: HttpMethod | null | undefined;
  /** Its name, for people. */
  name?: string | null | undefined;
  /** Attempts a second at the most, 0.001 to 10,000; null: no limit. */
  rateLimitPerSecond?: number | null | undefined;
  /** What is given of it is changed. */
  retryPolicy?: RetryPolicyInput | null | undefined;
  /** How long an attempt may take, 100 to 60,000 ms. */
  timeoutMs?: number | null | undefined;
  /** Where requests go: http or https, without credentials. */
  url?: string | null | undefined;
};

/** What a request is made with. */
export type ViewerKind =
  /** An API key, which belongs to one environment. */
  | 'API_KEY'
  /** A token for a page, made by one of the others. */
  | 'BROWSER_TOKEN'
  /** The operator's key: may do everything, in any organization. */
  | 'OPERATOR';

export type DeliveryListQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
  filter?: DeliveryFilter | null | undefined;
}>;


export type DeliveryListQuery = { liveCursor: string, deliveries: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, edges: Array<{ node: { id: string, status: DeliveryStatus, attemptCount: number, retryCount: number, maxRetries: number, nextAttemptAt: string | null, notRetryableReason: NotRetryableReason | null, createdAt: string, updatedAt: string, event: { id: string, type: string, sourceKey: string | null }, endpoint: { id: string, name: string }, lastAttempt: { id: string, responseStatus: number | null, durationMs: number | null, error: { code: AttemptErrorCode, message: string } | null } | null } }> } };

export type DeliveryCountQueryVariables = Exact<{
  filter?: DeliveryFilter | null | undefined;
}>;


export type DeliveryCountQuery = { deliveryCount: number };

export type DeliveryListChangesSubscriptionVariables = Exact<{
  filter?: DeliveryChangeFilter | null | undefined;
  after?: string | null | undefined;
}>;


export type DeliveryListChangesSubscription = { deliveryChanges: { cursor: string, changes: Array<{ previousStatus: DeliveryStatus | null, delivery: { id: string, status: DeliveryStatus, attemptCount: number, retryCount: number, maxRetries: number, nextAttemptAt: string | null, notRetryableReason: NotRetryableReason | null, createdAt: string, updatedAt: string, event: { id: string, type: string, sourceKey: string | null }, endpoint: { id: string, name: string }, lastAttempt: { id: string, responseStatus: number | null, durationMs: number | null, error: { code: AttemptErrorCode, message: string } | null } | null } }> } };

export type DeliveryRowFragment = { id: string, status: DeliveryStatus, attemptCount: number, retryCount: number, maxRetries: number, nextAttemptAt: string | null, notRetryableReason: NotRetryableReason | null, createdAt: string, updatedAt: string, event: { id: string, type: string, sourceKey: string | null }, endpoint: { id: string, name: string }, lastAttempt: { id: string, responseStatus: number | null, durationMs: number | null, error: { code: AttemptErrorCode, message: string } | null } | null };

export type RetryDeliveriesMutationVariables = Exact<{
  input: RetryDeliveriesInput;
}>;


export type RetryDeliveriesMutation = { retryDeliveries:
    | { __typename: 'InvalidInputError', message: string, issues: Array<{ path: Array<string>, message: string }> }
    | { __typename: 'RetryDeliveriesPayload', retriedCount: number, endCursor: string | null, hasNextPage: boolean, passedOver: Array<{ reason: NotRetryableReason, count: number }> }
   };

export type CancelDeliveriesMutationVariables = Exact<{
  input: CancelDeliveriesInput;
}>;


export type CancelDeliveriesMutation = { cancelDeliveries:
    | { __typename: 'CancelDeliveriesPayload', canceledCount: number, passedOverCount: number, endCursor: string | null, hasNextPage: boolean }
    | { __typename: 'InvalidInputError', message: string, issues: Array<{ path: Array<string>, message: string }> }
   };

export type DeliveryDetailQueryVariables = Exact<{
  id: string;
  attempts: number;
}>;


export type DeliveryDetailQuery = { liveCursor: string, delivery: { id: string, status: DeliveryStatus, attemptCount: number, retryCount: number, maxRetries: number, nextAttemptAt: string | null, notRetryableReason: NotRetryableReason | null, createdAt: string, updatedAt: string, deliveredAt: string | null, deadLetteredAt: string | null, route: { id: string, name: string } | null, event: { id: string, type: string, sourceKey: string | null, idempotencyKey: string | null, body: string, contentType: string, createdAt: string }, endpoint: { id: string, name: string, url: string, status: EndpointStatus, deletedAt: string | null, disabledReason: string | null }, attempts: { pageInfo: { hasNextPage: boolean }, edges: Array<{ node: { id: string, number: number, trigger: AttemptTrigger, status: AttemptStatus, createdAt: string, durationMs: number | null, requestUrl: string, requestMethod: HttpMethod, requestHeaders: unknown, requestBodySize: number, responseStatus: number | null, responseHeaders: unknown, responseBody: string | null, nextAttemptAt: string | null, isDeadLetter: boolean, error: { code: AttemptErrorCode, message: string } | null } }> } } | null };

export type DeliveryDetailPartsFragment = { id: string, status: DeliveryStatus, attemptCount: number, retryCount: number, maxRetries: number, nextAttemptAt: string | null, notRetryableReason: NotRetryableReason | null, createdAt: string, updatedAt: string, deliveredAt: string | null, deadLetteredAt: string | null, route: { id: string, name: string } | null, event: { id: string, type: string, sourceKey: string | null, idempotencyKey: string | null, body: string, contentType: string, createdAt: string }, endpoint: { id: string, name: string, url: string, status: EndpointStatus, deletedAt: string | null, disabledReason: string | null }, attempts: { pageInfo: { hasNextPage: boolean }, edges: Array<{ node: { id: string, number: number, trigger: AttemptTrigger, status: AttemptStatus, createdAt: string, durationMs: number | null, requestUrl: string, requestMethod: HttpMethod, requestHeaders: unknown, requestBodySize: number, responseStatus: number | null, responseHeaders: unknown, responseBody: string | null, nextAttemptAt: string | null, isDeadLetter: boolean, error: { code: AttemptErrorCode, message: string } | null } }> } };

export type AttemptPartsFragment = { id: string, number: number, trigger: AttemptTrigger, status: AttemptStatus, createdAt: string, durationMs: number | null, requestUrl: string, requestMethod: HttpMethod, requestHeaders: unknown, requestBodySize: number, responseStatus: number | null, responseHeaders: unknown, responseBody: string | null, nextAttemptAt: string | null, isDeadLetter: boolean, error: { code: AttemptErrorCode, message: string } | null };

export type DeliveryDetailChangesSubscriptionVariables = Exact<{
  id: string;
  after?: string | null | undefined;
}>;


export type DeliveryDetailChangesSubscription = { deliveryChanges: { cursor: string, changes: Array<{ status: DeliveryStatus }> } };

export type RetryDeliveryMutationVariables = Exact<{
  input: RetryDeliveryInput;
}>;


export type RetryDeliveryMutation = { retryDelivery:
    | { __typename: 'DeliveryNotRetryableError', message: string }
    | { __typename: 'InvalidInputError', message: string }
    | { __typename: 'NotFoundError', message: string }
    | { __typename: 'RetryDeliveryPayload', delivery: { id: string, status: DeliveryStatus } }
   };

export type CancelDeliveryMutationVariables = Exact<{
  input: CancelDeliveryInput;
}>;


export type CancelDeliveryMutation = { cancelDelivery:
    | { __typename: 'CancelDeliveryPayload', delivery: { id: string, status: DeliveryStatus } }
    | { __typename: 'DeliveryAtEndError', message: string }
    | { __typename: 'InvalidInputError', message: string }
    | { __typename: 'NotFoundError', message: string }
   };

export type EndpointListQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
  filter?: EndpointFilter | null | undefined;
  from: string;
  bucketSeconds: number;
}>;


export type EndpointListQuery = { liveCursor: string, endpoints: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, edges: Array<{ node: { id: string, name: string, url: string, status: EndpointStatus, eventTypes: Array<string>, createdAt: string, health: { state: EndpointHealthState, failingSince: string | null, failuresInARow: number, hasOwnLane: boolean, nextProbeAt: string | null, oldestWaitingAt: string | null, waiting: number, recent: { attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null } }, stats: { total: { attempts: number, delivered: number, successRatio: number | null }, buckets: Array<{ delivered: number, attempts: number, failed: number, successRatio: number | null }> } } }> } };

export type EndpointListChangesSubscriptionVariables = Exact<{
  after?: string | null | undefined;
}>;


export type EndpointListChangesSubscription = { endpointChanges: { cursor: string, changes: Array<{ kind: EndpointChangeKind }> } };

export type EndpointDetailQueryVariables = Exact<{
  id: string;
}>;


export type EndpointDetailQuery = { liveCursor: string, endpoint: { id: string, name: string, description: string | null, url: string, method: HttpMethod, status: EndpointStatus, disabledReason: string | null, disabledAt: string | null, deletedAt: string | null, eventTypes: Array<string>, headers: unknown, timeoutMs: number, rateLimitPerSecond: number | null, createdAt: string, updatedAt: string, retryPolicy: { maxRetries: number, delaysSeconds: Array<number>, jitter: number }, signingKeys: Array<{ id: string, kind: SignatureKind, createdAt: string, expiresAt: string | null, publicKey: string | null }>, health: { state: EndpointHealthState, failingSince: string | null, failuresInARow: number, hasOwnLane: boolean, nextProbeAt: string | null, oldestWaitingAt: string | null, waiting: number, recent: { attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null } } } | null };

export type EndpointPartsFragment = { id: string, name: string, description: string | null, url: string, method: HttpMethod, status: EndpointStatus, disabledReason: string | null, disabledAt: string | null, deletedAt: string | null, eventTypes: Array<string>, headers: unknown, timeoutMs: number, rateLimitPerSecond: number | null, createdAt: string, updatedAt: string, retryPolicy: { maxRetries: number, delaysSeconds: Array<number>, jitter: number }, signingKeys: Array<{ id: string, kind: SignatureKind, createdAt: string, expiresAt: string | null, publicKey: string | null }>, health: { state: EndpointHealthState, failingSince: string | null, failuresInARow: number, hasOwnLane: boolean, nextProbeAt: string | null, oldestWaitingAt: string | null, waiting: number, recent: { attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null } } };

export type EndpointDetailChangesSubscriptionVariables = Exact<{
  id: string;
  after?: string | null | undefined;
}>;


export type EndpointDetailChangesSubscription = { endpointChanges: { cursor: string, changes: Array<{ kind: EndpointChangeKind }> } };

export type EndpointHealthTicksSubscriptionVariables = Exact<{
  id: string;
}>;


export type EndpointHealthTicksSubscription = { endpointHealth: { state: EndpointHealthState, failingSince: string | null, failuresInARow: number, hasOwnLane: boolean, nextProbeAt: string | null, oldestWaitingAt: string | null, waiting: number, recent: { attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null } } };

export type EndpointStatsQueryVariables = Exact<{
  id: string;
  from: string;
  bucketSeconds: number;
}>;


export type EndpointStatsQuery = { deliveryStats: { waiting: number, oldestWaitingAt: string | null, total: { published: number, delivered: number, failed: number, retried: number, attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null }, buckets: Array<{ from: string, to: string, published: number, delivered: number, failed: number, retried: number, attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null }> } };

export type CreateEndpointMutationVariables = Exact<{
  input: CreateEndpointInput;
}>;


export type CreateEndpointMutation = { createEndpoint:
    | { __typename: 'CreateEndpointPayload', secret: string, endpoint: { id: string, name: string } }
    | { __typename: 'InvalidInputError', message: string, issues: Array<{ path: Array<string>, message: string }> }
   };

export type UpdateEndpointMutationVariables = Exact<{
  input: UpdateEndpointInput;
}>;


export type UpdateEndpointMutation = { updateEndpoint:
    | { __typename: 'InvalidInputError', message: string, issues: Array<{ path: Array<string>, message: string }> }
    | { __typename: 'NotFoundError', message: string }
    | { __typename: 'UpdateEndpointPayload', endpoint: { id: string, name: string, description: string | null, url: string, method: HttpMethod, status: EndpointStatus, disabledReason: string | null, disabledAt: string | null, deletedAt: string | null, eventTypes: Array<string>, headers: unknown, timeoutMs: number, rateLimitPerSecond: number | null, createdAt: string, updatedAt: string, retryPolicy: { maxRetries: number, delaysSeconds: Array<number>, jitter: number }, signingKeys: Array<{ id: string, kind: SignatureKind, createdAt: string, expiresAt: string | null, publicKey: string | null }>, health: { state: EndpointHealthState, failingSince: string | null, failuresInARow: number, hasOwnLane: boolean, nextProbeAt: string | null, oldestWaitingAt: string | null, waiting: number, recent: { attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null } } } }
   };

export type PauseEndpointMutationVariables = Exact<{
  id: string;
}>;


export type PauseEndpointMutation = { pauseEndpoint:
    | { __typename: 'InvalidInputError', message: string }
    | { __typename: 'NotFoundError', message: string }
    | { __typename: 'PauseEndpointPayload', endpoint: { id: string, status: EndpointStatus } }
   };

export type ResumeEndpointMutationVariables = Exact<{
  id: string;
}>;


export type ResumeEndpointMutation = { resumeEndpoint:
    | { __typename: 'InvalidInputError', message: string }
    | { __typename: 'NotFoundError', message: string }
    | { __typename: 'ResumeEndpointPayload', endpoint: { id: string, status: EndpointStatus } }
   };

export type DisableEndpointMutationVariables = Exact<{
  id: string;
  reason?: string | null | undefined;
}>;


export type DisableEndpointMutation = { disableEndpoint:
    | { __typename: 'DisableEndpointPayload', endpoint: { id: string, status: EndpointStatus } }
    | { __typename: 'InvalidInputError', message: string }
    | { __typename: 'NotFoundError', message: string }
   };

export type EnableEndpointMutationVariables = Exact<{
  id: string;
}>;


export type EnableEndpointMutation = { enableEndpoint:
    | { __typename: 'EnableEndpointPayload', endpoint: { id: string, status: EndpointStatus } }
    | { __typename: 'InvalidInputError', message: string }
    | { __typename: 'NotFoundError', message: string }
   };

export type DeleteEndpointMutationVariables = Exact<{
  id: string;
}>;


export type DeleteEndpointMutation = { deleteEndpoint:
    | { __typename: 'DeleteEndpointPayload', endpoint: { id: string, deletedAt: string | null } }
    | { __typename: 'InvalidInputError', message: string }
    | { __typename: 'NotFoundError', message: string }
   };

export type RotateSecretMutationVariables = Exact<{
  input: RotateEndpointSecretInput;
}>;


export type RotateSecretMutation = { rotateEndpointSecret:
    | { __typename: 'InvalidInputError', message: string, issues: Array<{ path: Array<string>, message: string }> }
    | { __typename: 'NotFoundError', message: string }
    | { __typename: 'RotateEndpointSecretPayload', secret: string, endpoint: { id: string } }
   };

export type EventListQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
  filter?: EventFilter | null | undefined;
}>;


export type EventListQuery = { liveCursor: string, events: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, edges: Array<{ node: { id: string, type: string, status: EventStatus, sourceKey: string | null, endpointCount: number, createdAt: string } }> } };

export type EventRowFragment = { id: string, type: string, status: EventStatus, sourceKey: string | null, endpointCount: number, createdAt: string };

export type EventDetailQueryVariables = Exact<{
  id: string;
}>;


export type EventDetailQuery = { liveCursor: string, event: { id: string, type: string, status: EventStatus, sourceKey: string | null, idempotencyKey: string | null, body: string, contentType: string, endpointCount: number, createdAt: string, updatedAt: string, source: { workflowId: string | null, runId: string | null, nodeId: string | null } | null } | null };

export type EventDetailPartsFragment = { id: string, type: string, status: EventStatus, sourceKey: string | null, idempotencyKey: string | null, body: string, contentType: string, endpointCount: number, createdAt: string, updatedAt: string, source: { workflowId: string | null, runId: string | null, nodeId: string | null } | null };

export type EventDetailChangesSubscriptionVariables = Exact<{
  id: string;
  after?: string | null | undefined;
}>;


export type EventDetailChangesSubscription = { eventChanges: { cursor: string, event: { id: string, status: EventStatus, updatedAt: string } } };

export type PublishEventMutationVariables = Exact<{
  input: PublishEventInput;
}>;


export type PublishEventMutation = { publishEvent:
    | { __typename: 'IdempotencyConflictError', message: string, event: { id: string } }
    | { __typename: 'InvalidInputError', message: string, issues: Array<{ path: Array<string>, message: string }> }
    | { __typename: 'PublishEventPayload', duplicate: boolean, event: { id: string, endpointCount: number } }
   };

export type RetryEventMutationVariables = Exact<{
  input: RetryEventInput;
}>;


export type RetryEventMutation = { retryEvent:
    | { __typename: 'DeliveryNotRetryableError', message: string }
    | { __typename: 'InvalidInputError', message: string }
    | { __typename: 'NotFoundError', message: string }
    | { __typename: 'RetryEventPayload', message: string, endpointCount: number }
   };

export type EndpointChoicesQueryVariables = Exact<{ [key: string]: never; }>;


export type EndpointChoicesQuery = { endpoints: { edges: Array<{ node: { id: string, name: string, status: EndpointStatus, url: string } }> } };

export type AttemptPlaceQueryVariables = Exact<{
  id: string;
}>;


export type AttemptPlaceQuery = { deliveryAttempt: { id: string, delivery: { id: string } } | null };

export type StatsHistoryQueryVariables = Exact<{
  from: string;
  bucketSeconds: number;
}>;


export type StatsHistoryQuery = { deliveryStats: { waiting: number, oldestWaitingAt: string | null, total: { published: number, delivered: number, failed: number, retried: number, attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null }, buckets: Array<{ from: string, to: string, published: number, delivered: number, failed: number, retried: number, attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null }> } };

export type StatsTicksSubscriptionVariables = Exact<{
  intervalSeconds: number;
}>;


export type StatsTicksSubscription = { deliveryStats: { waiting: number, oldestWaitingAt: string | null, stats: { from: string, to: string, published: number, delivered: number, failed: number, retried: number, attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null } } };

export type StatsTotalFragment = { published: number, delivered: number, failed: number, retried: number, attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null };

export type StatsPointFragment = { from: string, to: string, published: number, delivered: number, failed: number, retried: number, attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null };

export type EndpointsByHealthQueryVariables = Exact<{ [key: string]: never; }>;


export type EndpointsByHealthQuery = { endpoints: { pageInfo: { hasNextPage: boolean }, edges: Array<{ node: { id: string, name: string, url: string, status: EndpointStatus, disabledReason: string | null, health: { state: EndpointHealthState, failingSince: string | null, failuresInARow: number, hasOwnLane: boolean, nextProbeAt: string | null, oldestWaitingAt: string | null, waiting: number, recent: { attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null } } } }> } };

export type HealthFragment = { state: EndpointHealthState, failingSince: string | null, failuresInARow: number, hasOwnLane: boolean, nextProbeAt: string | null, oldestWaitingAt: string | null, waiting: number, recent: { attempts: number, successRatio: number | null, durationMs: { p50: number, p95: number, p99: number } | null } };

export type LatestChangesSubscriptionVariables = Exact<{
  after?: string | null | undefined;
}>;


export type LatestChangesSubscription = { deliveryChanges: { cursor: string, changes: Array<{ status: DeliveryStatus, previousStatus: DeliveryStatus | null, changedAt: string, attempt: { id: string, number: number, responseStatus: number | null, error: { code: AttemptErrorCode } | null } | null, delivery: { id: string, event: { id: string, type: string }, endpoint: { id: string, name: string } } }> } };

export type LatestDeliveriesQueryVariables = Exact<{ [key: string]: never; }>;


export type LatestDeliveriesQuery = { liveCursor: string, deliveries: { edges: Array<{ node: { id: string, status: DeliveryStatus, updatedAt: string, event: { id: string, type: string }, endpoint: { id: string, name: string }, lastAttempt: { id: string, number: number, responseStatus: number | null, error: { code: AttemptErrorCode } | null } | null } }> } };

export type ViewerQueryVariables = Exact<{ [key: string]: never; }>;


export type ViewerQuery = { viewer: { kind: ViewerKind, scopes: Array<Scope>, expiresAt: string | null, organization: { id: string, name: string } | null, environment: { id: string, name: string } | null, endpoint: { id: string, name: string } | null } };

export type OrganizationsQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type OrganizationsQuery = { organizations: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, edges: Array<{ node: { id: string, name: string, createdAt: string, environments: Array<{ id: string, name: string, createdAt: string }> } }> } };

export type ApiKeysQueryVariables = Exact<{
  environmentId: string;
  first: number;
  after?: string | null | undefined;
}>;


export type ApiKeysQuery = { node:
    | { id: string }
    | { id: string }
    | { id: string }
    | { id: string }
    | { id: string, apiKeys: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, edges: Array<{ node: { id: string, name: string, prefix: string | null, scopes: Array<Scope>, createdAt: string, lastUsedAt: string | null, expiresAt: string | null, revokedAt: string | null } }> } }
    | { id: string }
    | { id: string }
    | { id: string }
    | { id: string }
   | null };

export type CreateOrganizationMutationVariables = Exact<{
  input: CreateOrganizationInput;
}>;


export type CreateOrganizationMutation = { createOrganization:
    | { __typename: 'CreateOrganizationPayload', organization: { id: string }, environment: { id: string } }
    | { __typename: 'InvalidInputError', message: string, issues: Array<{ path: Array<string>, message: string }> }
   };

export type CreateEnvironmentMutationVariables = Exact<{
  input: CreateEnvironmentInput;
}>;


export type CreateEnvironmentMutation = { createEnvironment:
    | { __typename: 'CreateEnvironmentPayload', environment: { id: string, name: string } }
    | { __typename: 'InvalidInputError', message: string, issues: Array<{ path: Array<string>, message: string }> }
    | { __typename: 'NotFoundError', message: string }
   };

export type CreateApiKeyMutationVariables = Exact<{
  input: CreateApiKeyInput;
}>;


export type CreateApiKeyMutation = { createApiKey:
    | { __typename: 'CreateApiKeyPayload', secret: string, apiKey: { id: string, name: string } }
    | { __typename: 'InvalidInputError', message: string, issues: Array<{ path: Array<string>, message: string }> }
    | { __typename: 'NotFoundError', message: string }
   };

export type RevokeApiKeyMutationVariables = Exact<{
  id: string;
}>;


export type RevokeApiKeyMutation = { revokeApiKey:
    | { __typename: 'InvalidInputError', message: string }
    | { __typename: 'NotFoundError', message: string }
    | { __typename: 'RevokeApiKeyPayload', apiKey: { id: string, revokedAt: string | null } }
   };

export const DeliveryListDocument = "query DeliveryList($first:Int!$after:String$filter:DeliveryFilter){liveCursor deliveries(first:$first after:$after filter:$filter){pageInfo{hasNextPage endCursor}edges{node{...DeliveryRow}}}}fragment DeliveryRow on Delivery{id status attemptCount retryCount maxRetries nextAttemptAt notRetryableReason createdAt updatedAt event{id type sourceKey}endpoint{id name}lastAttempt{id responseStatus durationMs error{code message}}}" as unknown as TypedDocumentNode<DeliveryListQuery, DeliveryListQueryVariables>;
export const DeliveryCountDocument = "query DeliveryCount($filter:DeliveryFilter){deliveryCount(filter:$filter)}" as unknown as TypedDocumentNode<DeliveryCountQuery, DeliveryCountQueryVariables>;
export const DeliveryListChangesDocument = "subscription DeliveryListChanges($filter:DeliveryChangeFilter$after:String){deliveryChanges(filter:$filter after:$after coalesceMs:250){cursor changes{previousStatus delivery{...DeliveryRow}}}}fragment DeliveryRow on Delivery{id status attemptCount retryCount maxRetries nextAttemptAt notRetryableReason createdAt updatedAt event{id type sourceKey}endpoint{id name}lastAttempt{id responseStatus durationMs error{code message}}}" as unknown as TypedDocumentNode<DeliveryListChangesSubscription, DeliveryListChangesSubscriptionVariables>;
export const RetryDeliveriesDocument = "mutation RetryDeliveries($input:RetryDeliveriesInput!){retryDeliveries(input:$input){__typename ...on RetryDeliveriesPayload{retriedCount passedOver{reason count}endCursor hasNextPage}...on InvalidInputError{message issues{path message}}}}" as unknown as TypedDocumentNode<RetryDeliveriesMutation, RetryDeliveriesMutationVariables>;
export const CancelDeliveriesDocument = "mutation CancelDeliveries($input:CancelDeliveriesInput!){cancelDeliveries(input:$input){__typename ...on CancelDeliveriesPayload{canceledCount passedOverCount endCursor hasNextPage}...on InvalidInputError{message issues{path message}}}}" as unknown as TypedDocumentNode<CancelDeliveriesMutation, CancelDeliveriesMutationVariables>;
export const DeliveryDetailDocument = "query DeliveryDetail($id:ID!$attempts:Int!){liveCursor delivery(id:$id){...DeliveryDetailParts}}fragment DeliveryDetailParts on Delivery{id status attemptCount retryCount maxRetries nextAttemptAt notRetryableReason createdAt updatedAt deliveredAt deadLetteredAt route{id name}event{id type sourceKey idempotencyKey body contentType createdAt}endpoint{id name url status deletedAt disabledReason}attempts(first:$attempts){pageInfo{hasNextPage}edges{node{...AttemptParts}}}}fragment AttemptParts on DeliveryAttempt{id number trigger status createdAt durationMs requestUrl requestMethod requestHeaders requestBodySize responseStatus responseHeaders responseBody error{code message}nextAttemptAt isDeadLetter}" as unknown as TypedDocumentNode<DeliveryDetailQuery, DeliveryDetailQueryVariables>;
export const DeliveryDetailChangesDocument = "subscription DeliveryDetailChanges($id:ID!$after:String){deliveryChanges(filter:{deliveryId:$id}after:$after){cursor changes{status}}}" as unknown as TypedDocumentNode<DeliveryDetailChangesSubscription, DeliveryDetailChangesSubscriptionVariables>;
export const RetryDeliveryDocument = "mutation RetryDelivery($input:RetryDeliveryInput!){retryDelivery(input:$input){__typename ...on RetryDeliveryPayload{delivery{id status}}...on Error{message}}}" as unknown as TypedDocumentNode<RetryDeliveryMutation, RetryDeliveryMutationVariables>;
export const CancelDeliveryDocument = "mutation CancelDelivery($input:CancelDeliveryInput!){cancelDelivery(input:$input){__typename ...on CancelDeliveryPayload{delivery{id status}}...on Error{message}}}" as unknown as TypedDocumentNode<CancelDeliveryMutation, CancelDeliveryMutationVariables>;
export const EndpointListDocument = "query EndpointList($first:Int!$after:String$filter:EndpointFilter$from:DateTime!$bucketSeconds:Int!){liveCursor endpoints(first:$first after:$after filter:$filter){pageInfo{hasNextPage endCursor}edges{node{id name url status eventTypes createdAt health{...Health}stats(from:$from bucketSeconds:$bucketSeconds){total{attempts delivered successRatio}buckets{delivered attempts failed successRatio}}}}}}fragment Health on EndpointHealth{state failingSince failuresInARow hasOwnLane nextProbeAt oldestWaitingAt waiting recent{attempts successRatio durationMs{p50 p95 p99}}}" as unknown as TypedDocumentNode<EndpointListQuery, EndpointListQueryVariables>;
export const EndpointListChangesDocument = "subscription EndpointListChanges($after:String){endpointChanges(after:$after){cursor changes{kind}}}" as unknown as TypedDocumentNode<EndpointListChangesSubscription, EndpointListChangesSubscriptionVariables>;
export const EndpointDetailDocument = "query EndpointDetail($id:ID!){liveCursor endpoint(id:$id){...EndpointParts}}fragment EndpointParts on Endpoint{id name description url method status disabledReason disabledAt deletedAt eventTypes headers retryPolicy{maxRetries delaysSeconds jitter}timeoutMs rateLimitPerSecond signingKeys{id kind createdAt expiresAt publicKey}health{...Health}createdAt updatedAt}fragment Health on EndpointHealth{state failingSince failuresInARow hasOwnLane nextProbeAt oldestWaitingAt waiting recent{attempts successRatio durationMs{p50 p95 p99}}}" as unknown as TypedDocumentNode<EndpointDetailQuery, EndpointDetailQueryVariables>;
export const EndpointDetailChangesDocument = "subscription EndpointDetailChanges($id:ID!$after:String){endpointChanges(endpointId:$id after:$after){cursor changes{kind}}}" as unknown as TypedDocumentNode<EndpointDetailChangesSubscription, EndpointDetailChangesSubscriptionVariables>;
export const EndpointHealthTicksDocument = "subscription EndpointHealthTicks($id:ID!){endpointHealth(endpointId:$id intervalSeconds:2){...Health}}fragment Health on EndpointHealth{state failingSince failuresInARow hasOwnLane nextProbeAt oldestWaitingAt waiting recent{attempts successRatio durationMs{p50 p95 p99}}}" as unknown as TypedDocumentNode<EndpointHealthTicksSubscription, EndpointHealthTicksSubscriptionVariables>;
export const EndpointStatsDocument = "query EndpointStats($id:ID!$from:DateTime!$bucketSeconds:Int!){deliveryStats(endpointId:$id from:$from bucketSeconds:$bucketSeconds){waiting oldestWaitingAt total{...StatsTotal}buckets{...StatsPoint}}}fragment StatsTotal on DeliveryStats{published delivered failed retried attempts successRatio durationMs{p50 p95 p99}}fragment StatsPoint on DeliveryStats{from to published delivered failed retried attempts successRatio durationMs{p50 p95 p99}}" as unknown as TypedDocumentNode<EndpointStatsQuery, EndpointStatsQueryVariables>;
export const CreateEndpointDocument = "mutation CreateEndpoint($input:CreateEndpointInput!){createEndpoint(input:$input){__typename ...on CreateEndpointPayload{secret endpoint{id name}}...on InvalidInputError{message issues{path message}}}}" as unknown as TypedDocumentNode<CreateEndpointMutation, CreateEndpointMutationVariables>;
export const UpdateEndpointDocument = "fragment EndpointParts on Endpoint{id name description url method status disabledReason disabledAt deletedAt eventTypes headers retryPolicy{maxRetries delaysSeconds jitter}timeoutMs rateLimitPerSecond signingKeys{id kind createdAt expiresAt publicKey}health{...Health}createdAt updatedAt}mutation UpdateEndpoint($input:UpdateEndpointInput!){updateEndpoint(input:$input){__typename ...on UpdateEndpointPayload{endpoint{...EndpointParts}}...on InvalidInputError{message issues{path message}}...on NotFoundError{message}}}fragment Health on EndpointHealth{state failingSince failuresInARow hasOwnLane nextProbeAt oldestWaitingAt waiting recent{attempts successRatio durationMs{p50 p95 p99}}}" as unknown as TypedDocumentNode<UpdateEndpointMutation, UpdateEndpointMutationVariables>;
export const PauseEndpointDocument = "mutation PauseEndpoint($id:ID!){pauseEndpoint(input:{endpointId:$id}){__typename ...on PauseEndpointPayload{endpoint{id status}}...on Error{message}}}" as unknown as TypedDocumentNode<PauseEndpointMutation, PauseEndpointMutationVariables>;
export const ResumeEndpointDocument = "mutation ResumeEndpoint($id:ID!){resumeEndpoint(input:{endpointId:$id}){__typename ...on ResumeEndpointPayload{endpoint{id status}}...on Error{message}}}" as unknown as TypedDocumentNode<ResumeEndpointMutation, ResumeEndpointMutationVariables>;
export const DisableEndpointDocument = "mutation DisableEndpoint($id:ID!$reason:String){disableEndpoint(input:{endpointId:$id reason:$reason}){__typename ...on DisableEndpointPayload{endpoint{id status}}...on Error{message}}}" as unknown as TypedDocumentNode<DisableEndpointMutation, DisableEndpointMutationVariables>;
export const EnableEndpointDocument = "mutation EnableEndpoint($id:ID!){enableEndpoint(input:{endpointId:$id}){__typename ...on EnableEndpointPayload{endpoint{id status}}...on Error{message}}}" as unknown as TypedDocumentNode<EnableEndpointMutation, EnableEndpointMutationVariables>;
export const DeleteEndpointDocument = "mutation DeleteEndpoint($id:ID!){deleteEndpoint(input:{endpointId:$id}){__typename ...on DeleteEndpointPayload{endpoint{id deletedAt}}...on Error{message}}}" as unknown as TypedDocumentNode<DeleteEndpointMutation, DeleteEndpointMutationVariables>;
export const RotateSecretDocument = "mutation RotateSecret($input:RotateEndpointSecretInput!){rotateEndpointSecret(input:$input){__typename ...on RotateEndpointSecretPayload{secret endpoint{id}}...on InvalidInputError{message issues{path message}}...on NotFoundError{message}}}" as unknown as TypedDocumentNode<RotateSecretMutation, RotateSecretMutationVariables>;
export const EventListDocument = "query EventList($first:Int!$after:String$filter:EventFilter){liveCursor events(first:$first after:$after filter:$filter){pageInfo{hasNextPage endCursor}edges{node{...EventRow}}}}fragment EventRow on Event{id type status sourceKey endpointCount createdAt}" as unknown as TypedDocumentNode<EventListQuery, EventListQueryVariables>;
export const EventDetailDocument = "query EventDetail($id:ID!){liveCursor event(id:$id){...EventDetailParts}}fragment EventDetailParts on Event{id type status sourceKey source{workflowId runId nodeId}idempotencyKey body contentType endpointCount createdAt updatedAt}" as unknown as TypedDocumentNode<EventDetailQuery, EventDetailQueryVariables>;
export const EventDetailChangesDocument = "subscription EventDetailChanges($id:ID!$after:String){eventChanges(eventId:$id after:$after){cursor event{id status updatedAt}}}" as unknown as TypedDocumentNode<EventDetailChangesSubscription, EventDetailChangesSubscriptionVariables>;
export const PublishEventDocument = "mutation PublishEvent($input:PublishEventInput!){publishEvent(input:$input){__typename ...on PublishEventPayload{duplicate event{id endpointCount}}...on InvalidInputError{message issues{path message}}...on IdempotencyConflictError{message event{id}}}}" as unknown as TypedDocumentNode<PublishEventMutation, PublishEventMutationVariables>;
export const RetryEventDocument = "mutation RetryEvent($input:RetryEventInput!){retryEvent(input:$input){__typename ...on RetryEventPayload{message endpointCount}...on Error{message}}}" as unknown as TypedDocumentNode<RetryEventMutation, RetryEventMutationVariables>;
export const EndpointChoicesDocument = "query EndpointChoices{endpoints(first:100){edges{node{id name status url}}}}" as unknown as TypedDocumentNode<EndpointChoicesQuery, EndpointChoicesQueryVariables>;
export const AttemptPlaceDocument = "query AttemptPlace($id:ID!){deliveryAttempt(id:$id){id delivery{id}}}" as unknown as TypedDocumentNode<AttemptPlaceQuery, AttemptPlaceQueryVariables>;
export const StatsHistoryDocument = "query StatsHistory($from:DateTime!$bucketSeconds:Int!){deliveryStats(from:$from bucketSeconds:$bucketSeconds){waiting oldestWaitingAt total{...StatsTotal}buckets{...StatsPoint}}}fragment StatsTotal on DeliveryStats{published delivered failed retried attempts successRatio durationMs{p50 p95 p99}}fragment StatsPoint on DeliveryStats{from to published delivered failed retried attempts successRatio durationMs{p50 p95 p99}}" as unknown as TypedDocumentNode<StatsHistoryQuery, StatsHistoryQueryVariables>;
export const StatsTicksDocument = "subscription StatsTicks($intervalSeconds:Int!){deliveryStats(intervalSeconds:$intervalSeconds){waiting oldestWaitingAt stats{...StatsPoint}}}fragment StatsPoint on DeliveryStats{from to published delivered failed retried attempts successRatio durationMs{p50 p95 p99}}" as unknown as TypedDocumentNode<StatsTicksSubscription, StatsTicksSubscriptionVariables>;
export const EndpointsByHealthDocument = "query EndpointsByHealth{endpoints(first:100){pageInfo{hasNextPage}edges{node{id name url status disabledReason health{...Health}}}}}fragment Health on EndpointHealth{state failingSince failuresInARow hasOwnLane nextProbeAt oldestWaitingAt waiting recent{attempts successRatio durationMs{p50 p95 p99}}}" as unknown as TypedDocumentNode<EndpointsByHealthQuery, EndpointsByHealthQueryVariables>;
export const LatestChangesDocument = "subscription LatestChanges($after:String){deliveryChanges(after:$after coalesceMs:500){cursor changes{status previousStatus changedAt attempt{id number responseStatus error{code}}delivery{id event{id type}endpoint{id name}}}}}" as unknown as TypedDocumentNode<LatestChangesSubscription, LatestChangesSubscriptionVariables>;
export const LatestDeliveriesDocument = "query LatestDeliveries{liveCursor deliveries(first:20){edges{node{id status updatedAt event{id type}endpoint{id name}lastAttempt{id number responseStatus error{code}}}}}}" as unknown as TypedDocumentNode<LatestDeliveriesQuery, LatestDeliveriesQueryVariables>;
export const ViewerDocument = "query Viewer{viewer{kind scopes expiresAt organization{id name}environment{id name}endpoint{id name}}}" as unknown as TypedDocumentNode<ViewerQuery, ViewerQueryVariables>;
export const OrganizationsDocument = "query Organizations($first:Int!$after:String){organizations(first:$first after:$after){pageInfo{hasNextPage endCursor}edges{node{id name createdAt environments{id name createdAt}}}}}" as unknown as TypedDocumentNode<OrganizationsQuery, OrganizationsQueryVariables>;
export const ApiKeysDocument = "query ApiKeys($environmentId:ID!$first:Int!$after:String){node(id:$environmentId){id ...on Environment{apiKeys(first:$first after:$after){pageInfo{hasNextPage endCursor}edges{node{id name prefix scopes createdAt lastUsedAt expiresAt revokedAt}}}}}}" as unknown as TypedDocumentNode<ApiKeysQuery, ApiKeysQueryVariables>;
export const CreateOrganizationDocument = "mutation CreateOrganization($input:CreateOrganizationInput!){createOrganization(input:$input){__typename ...on CreateOrganizationPayload{organization{id}environment{id}}...on InvalidInputError{message issues{path message}}}}" as unknown as TypedDocumentNode<CreateOrganizationMutation, CreateOrganizationMutationVariables>;
export const CreateEnvironmentDocument = "mutation CreateEnvironment($input:CreateEnvironmentInput!){createEnvironment(input:$input){__typename ...on CreateEnvironmentPayload{environment{id name}}...on InvalidInputError{message issues{path message}}...on NotFoundError{message}}}" as unknown as TypedDocumentNode<CreateEnvironmentMutation, CreateEnvironmentMutationVariables>;
export const CreateApiKeyDocument = "mutation CreateApiKey($input:CreateApiKeyInput!){createApiKey(input:$input){__typename ...on CreateApiKeyPayload{secret apiKey{id name}}...on InvalidInputError{message issues{path message}}...on NotFoundError{message}}}" as unknown as TypedDocumentNode<CreateApiKeyMutation, CreateApiKeyMutationVariables>;
export const RevokeApiKeyDocument = "mutation RevokeApiKey($id:ID!){revokeApiKey(input:{apiKeyId:$id}){__typename ...on RevokeApiKeyPayload{apiKey{id revokedAt}}...on Error{message}}}" as unknown as TypedDocumentNode<RevokeApiKeyMutation, RevokeApiKeyMutationVariables>;
