import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';

/** Standard Webhooks 1.0, section "Signature scheme": symmetric secrets are `whsec_` and base64 of 24 to 64 bytes. */
export const SECRET_PREFIX = 'whsec_';
export const SECRET_BYTES_MIN = 24;
export const SECRET_BYTES_MAX = 64;
const SECRET_BYTES_DEFAULT = 32;

/** What a secret looks like, for messages. */
export const SECRET_RULE = `"${SECRET_PREFIX}" and base64 of ${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} bytes`;

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

export const makeSecret = (): string => SECRET_PREFIX + randomBytes(SECRET_BYTES_DEFAULT).toString('base64');

export function isSecret(text: string): boolean {
  const encoded = text.slice(SECRET_PREFIX.length);
  if (!text.startsWith(SECRET_PREFIX) || !BASE64.test(encoded) || encoded.length % 4 !== 0) return false;
  const bytes = Buffer.from(encoded, 'base64').length;
  return bytes >= SECRET_BYTES_MIN && bytes <= SECRET_BYTES_MAX;
}

/** The key that a secret signs with. Worth keeping: making it costs as much as a signature. */
export const toSigningKey = (secret: string): KeyObject =>
  createSecretKey(Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64'));

export interface SignatureInput {
  /** Of every secret that is valid now; each gives one signature. */
  keys: KeyObject[];
  /** The event's public ID. */
  webhookId: string;
  timestamp: Date;
  body: Uint8Array;
}

/** The three headers of Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp` (seconds), `webhook-signature`. */
export function signatureHeaders({ keys, webhookId, timestamp, body }: SignatureInput): Record<string, string> {
  const seconds = Math.floor(timestamp.getTime() / 1_000);
  const signatures = keys.map(
    (key) => `v1,${createHmac('sha256', key).update(`${webhookId}.${seconds}.`).update(body).digest('base64')}`,
  );
  return {
    'webhook-id': webhookId,
    'webhook-timestamp': String(seconds),
    'webhook-signature': signatures.join(' '),
  };
}
