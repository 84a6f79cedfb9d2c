import { z } from 'zod';
import { findCertificateFault, PEM_MAX_CHARS, readAuthority } from '../domain/client-certificate.ts';
import { EVENT_TYPE_RULE, isEventTypePattern } from '../domain/event-type.ts';
import { findHeaderFault, HEADERS_MAX } from '../domain/request-headers.ts';
import { DELAY_SECONDS_MAX, DELAY_SECONDS_MIN, MAX_RETRIES_MAX } from '../domain/retry-policy.ts';
import { isSecret, kindOfSecret, SECRET_RULE, type SignatureKind } from '../domain/signature.ts';
import { NAME_SCHEMA } from '../domain/validation.ts';

export const TIMEOUT_MS_DEFAULT = 15_000;
export const TIMEOUT_MS_MIN = 100;
export const TIMEOUT_MS_MAX = 60_000;
export const RATE_LIMIT_MIN = 0.001;
export const RATE_LIMIT_MAX = 10_000;
export const OVERLAP_SECONDS_DEFAULT = 86_400;
/** 7 days. */
export const OVERLAP_SECONDS_MAX = 604_800;
export const URL_MAX_CHARS = 2_048;
const HOST_MAX_CHARS = 253;
const LABEL_MAX_CHARS = 63;
export const DESCRIPTION_MAX_CHARS = 2_048;
export const EVENT_TYPES_MAX = 100;
export const DELAYS_MAX = MAX_RETRIES_MAX;

const between = (min: number, max: number) => `must be a number from ${min} to ${max}.`;
const whole = (min: number, max: number) => `must be a whole number from ${min} to ${max}.`;

/**
 * Where an endpoint is, as it is stored and sent: percent-encoded, with its host in ASCII. The limit holds for the given
 * text and for that form. The address is checked again at every attempt.
 */
const urlSchema = z
  .string()
  .max(URL_MAX_CHARS, `may have ${URL_MAX_CHARS} characters at most.`)
  .superRefine((text, context) => {
    const message = findUrlFault(text);
    if (message) context.addIssue({ code: 'custom', message });
  })
  .transform((text) => (URL.canParse(text) ? new URL(text).href : text));

/** @param text if too long, only its length is reported */
function findUrlFault(text: string): string | null {
  if (text.length > URL_MAX_CHARS) return null;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    return 'must be an absolute http or https URL, for example https://example.com/webhooks.';
  }
  if (url.username || url.password) return 'must not have a user name or password in it. Use headers instead.';
  if (url.hash) return 'must not have a fragment (#…): it would not be sent.';
  if (url.href.length > URL_MAX_CHARS) {
    return `may have ${URL_MAX_CHARS} characters at most; percent-encoded, as it is sent, it has ${url.href.length}.`;
  }
  return findHostFault(url.hostname);
}

/** RFC 1035 section 2.3.4. The dot that ends a full name does not count. */
function findHostFault(hostname: string): string | null {
  const name = hostname.replace(/\.$/, '');
  const isLong = name.length > HOST_MAX_CHARS || name.split('.').some((label) => label.length > LABEL_MAX_CHARS);
  if (!isLong) return null;
  return `must have a host name of at most ${HOST_MAX_CHARS} characters, ${LABEL_MAX_CHARS} between dots (in ASCII).`;
}

const headersSchema = z
  .custom<Record<string, string>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'must be an object of header names and values.',
  )
  .superRefine((headers, context) => {
    const entries = Object.entries(headers);
    if (entries.length > HEADERS_MAX) context.addIssue({ code: 'custom', message: `may have ${HEADERS_MAX} at most.` });
    const names = new Set<string>();
    for (const [name, value] of entries) {
      const isRepeated = names.has(name.toLowerCase());
      names.add(name.toLowerCase());
      const fault = isRepeated ? 'is there twice.' : findHeaderFault(name, value);
      if (fault) context.addIssue({ code: 'custom', path: [name], message: fault });
    }
  });

const retriesRule = whole(0, MAX_RETRIES_MAX);
const delayRule = between(DELAY_SECONDS_MIN, DELAY_SECONDS_MAX);
const retryPolicySchema = z.object({
  maxRetries: z.int(retriesRule).min(0, retriesRule).max(MAX_RETRIES_MAX, retriesRule).nullish(),
  delaysSeconds: z
    .array(z.number().min(DELAY_SECONDS_MIN, delayRule).max(DELAY_SECONDS_MAX, delayRule))
    .min(1, `must have 1 to ${DELAYS_MAX} delays.`)
    .max(DELAYS_MAX, `must have 1 to ${DELAYS_MAX} delays.`)
    .nullish(),
  jitter: z.number().min(0, between(0, 1)).max(1, between(0, 1)).nullish(),
});

const pemSchema = z.string().max(PEM_MAX_CHARS, `may have ${PEM_MAX_CHARS} characters at most.`);
const clientCertificateSchema = z
  .object({ certificate: pemSchema, privateKey: pemSchema })
  .superRefine((given, context) => {
    const fault = findCertificateFault(given, new Date());
    if (fault) context.addIssue({ code: 'custom', path: [fault.path], message: fault.message });
  });
const caCertificateSchema = pemSchema.transform((pem, context) => {
  const authority = readAuthority(pem);
  if (authority !== null && authority.length <= PEM_MAX_CHARS) return authority;
  const message =
    authority === null
      ? 'must be one or more certificates in PEM: -----BEGIN CERTIFICATE-----…'
      : `may have ${PEM_MAX_CHARS} characters at most; with lines of 64 characters, it has ${authority.length}.`;
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const timeoutRule = whole(TIMEOUT_MS_MIN, TIMEOUT_MS_MAX);
const rateRule = between(RATE_LIMIT_MIN, RATE_LIMIT_MAX);
const typeRule = `must be an event type (${EVENT_TYPE_RULE}), such a type followed by ".*", or "*".`;

const common = {
  name: NAME_SCHEMA.nullish(),
  description: z
    .string()
    .max(DESCRIPTION_MAX_CHARS, `may have ${DESCRIPTION_MAX_CHARS} characters at most.`)
    .refine((text) => !text.includes('\0') && text.isWellFormed(), 'must be Unicode text without NUL characters.')
    .nullish(),
  method: z.enum(['POST', 'PUT', 'PATCH']).nullish(),
  eventTypes: z
    .array(z.string().refine(isEventTypePattern, typeRule))
    .min(1, 'must name at least one event type; "*" is every type.')
    .max(EVENT_TYPES_MAX, `may name ${EVENT_TYPES_MAX} at most.`)
    .nullish(),
  headers: headersSchema.nullish(),
  retryPolicy: retryPolicySchema.nullish(),
  timeoutMs: z.int(timeoutRule).min(TIMEOUT_MS_MIN, timeoutRule).max(TIMEOUT_MS_MAX, timeoutRule).nullish(),
  rateLimitPerSecond: z.number().min(RATE_LIMIT_MIN, rateRule).max(RATE_LIMIT_MAX, rateRule).nullish(),
  clientCertificate: clientCertificateSchema.nullish(),
  caCertificate: caCertificateSchema.nullish(),
};

const secret = {
  secret: z.string().refine(isSecret, `must be ${SECRET_RULE}.`).nullish(),
  signatureKind: z.enum(['HMAC_SHA256', 'ED25519']).nullish(),
};

/** Both may be given, and then they must agree. */
function checkKind(
  { secret, signatureKind }: { secret?: string | null; signatureKind?: SignatureKind | null },
  context: z.RefinementCtx,
) {
  if (!secret || !signatureKind || kindOfSecret(secret) === signatureKind) return;
  const message = `is not how this secret signs, which is ${kindOfSecret(secret)}. Leave one of the two out.`;
  context.addIssue({ code: 'custom', path: ['signatureKind'], message });
}

export const createEndpointSchema = z.object({ ...common, ...secret, url: urlSchema }).superRefine(checkKind);
export const updateEndpointSchema = z.object({ ...common, url: urlSchema.nullish() });

const overlapRule = whole(0, OVERLAP_SECONDS_MAX);
export const rotateSecretSchema = z
  .object({
    ...secret,
    overlapSeconds: z.int(overlapRule).min(0, overlapRule).max(OVERLAP_SECONDS_MAX, overlapRule).nullish(),
  })
  .superRefine(checkKind);

/** What may be given of an endpoint. Null and left out are the same, but for `description`, `headers`, the rate limit and certificates when updating: null takes them away. */
export type CreateEndpointInput = z.input<typeof createEndpointSchema>;
export type UpdateEndpointInput = z.input<typeof updateEndpointSchema> & { endpointId: string };
export type RotateSecretInput = z.input<typeof rotateSecretSchema> & { endpointId: string };
