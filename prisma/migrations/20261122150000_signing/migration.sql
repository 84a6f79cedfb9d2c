-- CreateEnum
CREATE TYPE "signature_kind" AS ENUM ('HMAC_SHA256', 'ED25519');

-- AlterTable
ALTER TABLE "endpoint_secrets"
    ADD COLUMN "kind" "signature_kind" NOT NULL DEFAULT 'HMAC_SHA256',
    ADD COLUMN "public_key" TEXT;

-- AlterTable
ALTER TABLE "endpoints"
    ADD COLUMN "client_certificate_sealed" BYTEA,
    ADD COLUMN "client_certificate_subject" TEXT,
    ADD COLUMN "client_certificate_fingerprint" TEXT,
    ADD COLUMN "client_certificate_expires_at" TIMESTAMPTZ(3),
    ADD COLUMN "ca_certificate" TEXT;
