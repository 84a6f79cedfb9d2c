-- Of their events, so that deliveries of a type are found in their own order, however many and however old they are.
ALTER TABLE "deliveries" ADD COLUMN "event_type" TEXT;
UPDATE "deliveries" d SET "event_type" = e."type" FROM "events" e WHERE e."id" = d."event_id";

-- CreateIndex
CREATE INDEX "deliveries_environment_id_event_type_id_idx" ON "deliveries"("environment_id", "event_type", "id");
