-- CreateTable
CREATE TABLE "workers" (
    "id" UUID NOT NULL,
    "seen_until" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "workers_pkey" PRIMARY KEY ("id")
);

-- A lane is its worker's for as long as the worker lives: one row to renew, however many lanes there are.
ALTER TABLE "lanes" DROP COLUMN "leased_until";

-- CreateIndex
CREATE INDEX "lanes_leased_by_idx" ON "lanes"("leased_by");

-- AddForeignKey
UPDATE "lanes" SET "leased_by" = NULL;
ALTER TABLE "lanes" ADD CONSTRAINT "lanes_leased_by_fkey" FOREIGN KEY ("leased_by") REFERENCES "workers"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- What schema.prisma can't say --------------------------------------------------------------------

-- By status, so that nobody walks over what a paused endpoint holds to find out that nothing can be sent.
DROP INDEX "deliveries_lane_idx";
CREATE INDEX "deliveries_lane_idx" ON "deliveries"("endpoint_id", "status", "id") WHERE "in_lane";

-- Whoever retries by hand does not wait for what waits already.
CREATE INDEX "deliveries_lane_manual_idx" ON "deliveries"("endpoint_id", "id") WHERE "in_lane" AND "queued_trigger" = 'MANUAL';

-- Events only come and go by age: vacuum and analyze after thousands of rows, as with the tables beside it.
ALTER TABLE "events" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE "delivery_attempts" SET (autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE "delivery_changes" SET (autovacuum_vacuum_insert_scale_factor = 0.05);

-- Few rows that are written every second: room on the page, so that no index is touched.
ALTER TABLE "lanes" SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE "workers" SET (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
