import { generate } from 'selfsigned';

/** A certificate with its private key, in PEM. */
export interface IssuedCertificate {
  certificate: string;
  privateKey: string;
}

export interface CertificateWish {
  /** @default "test" */
  name?: string;
  /** Who signs it. @default itself */
  authority?: IssuedCertificate;
  /** Whether it may sign others. @default false */
  isAuthority?: boolean;
  /** @default in a day */
  expiresAt?: Date;
  /** @default an hour ago */
  validFrom?: Date;
}

/** Makes a certificate that is good for servers at localhost and 127.0.0.1, and for clients. */
export async function issueCertificate({
  name = 'test',
  authority,
  isAuthority = false,
  expiresAt = new Date(Date.now() + 86_400_000),
  validFrom = new Date(Date.now() - 3_600_000),
}: CertificateWish = {}): Promise<IssuedCertificate> {
  const altNames = [
    { type: 2 as const, value: 'localhost' },
    { type: 7 as const, ip: '127.0.0.1' },
  ];
  const made = await generate(
    [
      { name: 'commonName', value: name },
      { name: 'organizationName', value: 'Posthorn tests' },
    ],
    {
      keyType: 'ec',
      algorithm: 'sha256',
      notBeforeDate: validFrom,
      notAfterDate: expiresAt,
      extensions: isAuthority
        ? [
            { name: 'basicConstraints', cA: true, critical: true },
            { name: 'keyUsage', keyCertSign: true, critical: true },
          ]
        : [{ name: 'subjectAltName', altNames }],
      ...(authority && { ca: { cert: authority.certificate, key: authority.privateKey } }),
    },
  );
  return { certificate: made.cert, privateKey: made.private };
}
