-- AlterTable
ALTER TABLE "deliveries" ADD COLUMN "last_response_status" INTEGER;
UPDATE "deliveries" d SET "last_response_status" = a."response_status" FROM "delivery_attempts" a WHERE a."id" = d."last_attempt_id";

-- CreateIndex
CREATE INDEX "delivery_attempts_environment_id_status_id_idx" ON "delivery_attempts"("environment_id", "status", "id");

-- CreateIndex
CREATE INDEX "delivery_attempts_environment_id_trigger_id_idx" ON "delivery_attempts"("environment_id", "trigger", "id");

-- What schema.prisma can't say --------------------------------------------------------------------

-- Without those that have had no response yet, which are never looked for.
CREATE INDEX "deliveries_last_response_status_idx" ON "deliveries"("environment_id", "last_response_status", "id") WHERE "last_response_status" IS NOT NULL;

CREATE INDEX "delivery_attempts_dead_letters_idx" ON "delivery_attempts"("environment_id", "id") WHERE "dead_lettered_at" IS NOT NULL;

-- Events that no endpoint wanted.
CREATE INDEX "events_without_deliveries_idx" ON "events"("environment_id", "id") WHERE "endpoint_count" = 0;
