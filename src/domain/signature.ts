import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';

/** How a secret signs. Mirrors the enum in the database. */
export type SignatureKind = 'HMAC_SHA256' | 'ED25519';

/** Standard Webhooks 1.0, section "Signature scheme": symmetric secrets are `whsec_` and base64 of 24 to 64 bytes. */
export const SECRET_PREFIX = 'whsec_';
export const SECRET_BYTES_MIN = 24;
export const SECRET_BYTES_MAX = 64;
const SECRET_BYTES_DEFAULT = 32;

/** The same section: private keys of Ed25519 are `whsk_`, public ones `whpk_`, each with base64 behind it. */
export const PRIVATE_KEY_PREFIX = 'whsk_';
export const PUBLIC_KEY_PREFIX = 'whpk_';
/** RFC 8032 section 5.1.5: a private key is 32 bytes, the seed. */
const SEED_BYTES = 32;
/** Some libraries write the public key behind the seed. Posthorn takes both forms, and makes the short one. */
const KEY_PAIR_BYTES = 64;
/** RFC 8410 section 7: what stands before the seed in PKCS #8, and before the public key (section 4). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_HEAD_BYTES = 12;

/** What a secret looks like, for messages. */
export const SECRET_RULE = `"${SECRET_PREFIX}" and base64 of ${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} bytes, or "${PRIVATE_KEY_PREFIX}" and base64 of an Ed25519 private key: its ${SEED_BYTES} bytes, or ${KEY_PAIR_BYTES} with the public key behind`;

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

export function makeSecret(kind: SignatureKind = 'HMAC_SHA256'): string {
  if (kind === 'ED25519') return PRIVATE_KEY_PREFIX + randomBytes(SEED_BYTES).toString('base64');
  return SECRET_PREFIX + randomBytes(SECRET_BYTES_DEFAULT).toString('base64');
}

/** How a secret signs, by its prefix. */
export const kindOfSecret = (secret: string): SignatureKind =>
  secret.startsWith(PRIVATE_KEY_PREFIX) ? 'ED25519' : 'HMAC_SHA256';

export function isSecret(text: string): boolean {
  if (text.startsWith(PRIVATE_KEY_PREFIX)) return isPrivateKey(text);
  const bytes = decode(text, SECRET_PREFIX)?.length ?? 0;
  return bytes >= SECRET_BYTES_MIN && bytes <= SECRET_BYTES_MAX;
}

function isPrivateKey(text: string): boolean {
  const bytes = decode(text, PRIVATE_KEY_PREFIX);
  if (bytes?.length === SEED_BYTES) return true;
  return bytes?.length === KEY_PAIR_BYTES && bytes.subarray(SEED_BYTES).equals(readPublicKey(toSigningKey(text)));
}

/** @returns null where the text is not the prefix with base64 behind it */
function decode(text: string, prefix: string): Buffer | null {
  const encoded = text.slice(prefix.length);
  if (!text.startsWith(prefix) || !BASE64.test(encoded) || encoded.length % 4 !== 0) return null;
  return Buffer.from(encoded, 'base64');
}

/** The key that a secret signs with. Worth keeping: making it costs as much as a signature. */
export function toSigningKey(secret: string): KeyObject {
  if (kindOfSecret(secret) === 'HMAC_SHA256') {
    return createSecretKey(Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64'));
  }
  const seed = Buffer.from(secret.slice(PRIVATE_KEY_PREFIX.length), 'base64').subarray(0, SEED_BYTES);
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' });
}

/** The public key of a secret, `whpk_…`; null: it has none, being symmetric. */
export const toPublicKey = (secret: string): string | null =>
  kindOfSecret(secret) === 'ED25519'
    ? PUBLIC_KEY_PREFIX + readPublicKey(toSigningKey(secret)).toString('base64')
    : null;

const readPublicKey = (key: KeyObject): Buffer =>
  createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(SPKI_HEAD_BYTES);

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
  const head = `${webhookId}.${seconds}.`;
  const signatures = keys.map((key) =>
    key.type === 'secret' ? signHmac(key, head, body) : signEd25519(key, head, body),
  );
  return {
    'webhook-id': webhookId,
    'webhook-timestamp': String(seconds),
    'webhook-signature': signatures.join(' '),
  };
}

const signHmac = (key: KeyObject, head: string, body: Uint8Array): string =>
  `v1,${createHmac('sha256', key).update(head).update(body).digest('base64')}`;

/** Ed25519 reads its message twice, so it takes it in one piece. */
const signEd25519 = (key: KeyObject, head: string, body: Uint8Array): string =>
  `v1a,${sign(null, Buffer.concat([Buffer.from(head), body]), key).toString('base64')}`;
