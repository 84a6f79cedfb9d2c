import { createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto';

/** What an Ed25519 public key begins with in DER (SPKI). */
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * Checks that a request comes from the endpoint's Posthorn, was not changed, and is not an old one sent again.
 *
 * @param key the endpoint's secret (`whsec_…`), or its public key (`whpk_…`)
 * @param body as it came, not parsed and written anew
 * @throws where it does not
 */
export function verifyWebhook(
  key: string,
  headers: Record<string, string | string[] | undefined>,
  body: Buffer,
  toleranceSeconds = 300,
): void {
  const [id, timestamp, signatures] = ['id', 'timestamp', 'signature'].map((name) => headers[`webhook-${name}`]);
  const age = Math.abs(Date.now() / 1_000 - Number(timestamp));
  if (!(age <= toleranceSeconds)) throw new Error('The timestamp is missing, or too far from now.');
  const message = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  const isAsymmetric = key.startsWith('whpk_');
  const bytes = Buffer.from(key.slice('whpk_'.length + (isAsymmetric ? 0 : 1)), 'base64');
  const fits = isAsymmetric ? makeEd25519Check(bytes, message) : makeHmacCheck(bytes, message);
  for (const text of String(signatures).split(' ')) {
    const [version, signature = ''] = text.split(',');
    if (version === (isAsymmetric ? 'v1a' : 'v1') && fits(Buffer.from(signature, 'base64'))) return;
  }
  throw new Error('No signature fits.');
}

function makeHmacCheck(secret: Buffer, message: Buffer) {
  const expected = createHmac('sha256', secret).update(message).digest();
  return (signature: Buffer) => signature.length === expected.length && timingSafeEqual(signature, expected);
}

function makeEd25519Check(publicKey: Buffer, message: Buffer) {
  const key = createPublicKey({ key: Buffer.concat([SPKI_HEAD, publicKey]), format: 'der', type: 'spki' });
  return (signature: Buffer) => verify(null, message, key, signature);
}
