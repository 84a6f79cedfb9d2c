import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** Longest text of certificates or of a key, in characters: a chain has a few thousand. */
export const PEM_MAX_CHARS = 32_768;

const CERTIFICATE_BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** What an endpoint's server is shown of Posthorn, in PEM. */
export interface ClientCertificate {
  /** The certificate, with those that lead to its authority behind it, where the server needs them. */
  certificate: string;
  privateKey: string;
}

/** What may be told of a client certificate. */
export interface CertificateSummary {
  subject: string;
  /** SHA-256, in hexadecimal with colons. */
  fingerprint: string;
  expiresAt: Date;
}

/** What is wrong with a client certificate, and where; null: nothing. */
export function findCertificateFault(
  { certificate, privateKey }: ClientCertificate,
  now: Date,
): { path: keyof ClientCertificate; message: string } | null {
  const chain = readCertificates(certificate);
  const leaf = chain?.[0];
  if (!leaf) return { path: 'certificate', message: 'must be a certificate in PEM: -----BEGIN CERTIFICATE-----…' };
  if (leaf.validToDate <= now) {
    return { path: 'certificate', message: `expired at ${leaf.validToDate.toISOString()}. Give one that is valid.` };
  }
  const key = readPrivateKey(privateKey);
  if (!key) return { path: 'privateKey', message: 'must be a private key in PEM, without a passphrase.' };
  if (!leaf.checkPrivateKey(key)) {
    return { path: 'privateKey', message: 'does not fit the certificate, whose first block must be its own.' };
  }
  try {
    createSecureContext({ cert: certificate, key: privateKey });
    return null;
  } catch (error) {
    return { path: 'certificate', message: `can't be used for TLS: ${(error as Error).message}.` };
  }
}

/** The certificates of an authority alone, without what stands around them; null: there is none, or one that can't be read. */
export const readAuthority = (pem: string): string | null =>
  readCertificates(pem)
    ?.map((certificate) => certificate.toString())
    .join('') ?? null;

/** @param certificate without fault */
export function summariseCertificate(certificate: string): CertificateSummary {
  const { subject, fingerprint256, validToDate } = new X509Certificate(certificate);
  // RFC 4514 writes parts with commas between; Node has one a line. A certificate may do without a subject.
  return { subject: (subject ?? '').split('\n').join(', '), fingerprint: fingerprint256, expiresAt: validToDate };
}

/** @returns null where there is none, or one that can't be read */
function readCertificates(pem: string): X509Certificate[] | null {
  const blocks = pem.match(CERTIFICATE_BLOCK);
  if (!blocks || blocks.length !== pem.split('-----BEGIN').length - 1) return null;
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return null;
  }
}

function readPrivateKey(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
  }
}
