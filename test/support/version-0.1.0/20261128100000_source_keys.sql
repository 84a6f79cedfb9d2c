-- Of their events, so that deliveries with a key are found in their own order, however many and however old they are.
ALTER TABLE "deliveries" ADD COLUMN "source_key" TEXT;
UPDATE "deliveries" d SET "source_key" = e."source_key" FROM "events" e WHERE e."id" = d."event_id" AND e."source_key" IS NOT NULL;

-- CreateIndex
CREATE INDEX "deliveries_environment_id_source_key_id_idx" ON "deliveries"("environment_id", "source_key", "id") WHERE "source_key" IS NOT NULL;
