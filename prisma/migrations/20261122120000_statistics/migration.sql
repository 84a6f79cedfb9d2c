-- AlterTable
ALTER TABLE "delivery_changes"
    ADD COLUMN "attempt_trigger" "attempt_trigger",
    ADD COLUMN "attempt_status" "attempt_status",
    ADD COLUMN "duration_ms" INTEGER;

-- CreateTable
CREATE TABLE "publications" (
    "xid" xid8 NOT NULL DEFAULT pg_current_xact_id(),
    "environment_id" UUID NOT NULL,
    "events" INTEGER NOT NULL,
    "published_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "publications_pkey" PRIMARY KEY ("xid", "environment_id")
);

-- CreateTable
CREATE TABLE "delivery_stats" (
    "environment_id" UUID NOT NULL,
    "endpoint_id" UUID NOT NULL,
    "resolution_seconds" INTEGER NOT NULL,
    "starts_at" TIMESTAMPTZ(3) NOT NULL,
    "published" BIGINT NOT NULL,
    "delivered" BIGINT NOT NULL,
    "failed" BIGINT NOT NULL,
    "retried" BIGINT NOT NULL,
    "attempts_succeeded" BIGINT NOT NULL,
    "attempts_failed" BIGINT NOT NULL,
    "durations" INTEGER[] NOT NULL,

    CONSTRAINT "delivery_stats_pkey" PRIMARY KEY ("environment_id", "endpoint_id", "resolution_seconds", "starts_at")
);

-- CreateTable
CREATE TABLE "delivery_gauges" (
    "environment_id" UUID NOT NULL,
    "endpoint_id" UUID NOT NULL,
    "pending" BIGINT NOT NULL,
    "retrying" BIGINT NOT NULL,
    "held" BIGINT NOT NULL,

    CONSTRAINT "delivery_gauges_pkey" PRIMARY KEY ("environment_id", "endpoint_id")
);

-- CreateTable
CREATE TABLE "stats_position" (
    "id" INTEGER NOT NULL,
    "xid" xid8 NOT NULL,

    CONSTRAINT "stats_position_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "stats_position_single" CHECK ("id" = 1)
);

-- CreateIndex
CREATE INDEX "delivery_stats_resolution_seconds_starts_at_idx" ON "delivery_stats"("resolution_seconds", "starts_at");

-- What schema.prisma can't say --------------------------------------------------------------------

-- The oldest delivery of an endpoint that waits.
CREATE INDEX "deliveries_waiting_idx" ON "deliveries"("endpoint_id", "id") WHERE "status" IN ('PENDING', 'RETRYING', 'HELD');

-- Rows that are written every second: room on the page, so that no index is touched.
ALTER TABLE "delivery_stats" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE "delivery_gauges" SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE "stats_position" SET (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE "publications" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);

-- What waits now, and the place in the change log from where on it is counted, seen at one moment. Changes behind that
-- place are in the deliveries already, and will be counted, so they are taken off. The nil UUID is the environment as
-- a whole.
WITH "start" AS (
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS "xid"
), "positioned" AS (
    INSERT INTO "stats_position" ("id", "xid") SELECT 1, "xid" FROM "start"
), "waiting" AS (
    SELECT "environment_id", "endpoint_id", "status", count(*) AS "number" FROM "deliveries"
    WHERE "status" IN ('PENDING', 'RETRYING', 'HELD') GROUP BY 1, 2, 3
    UNION ALL
    SELECT "environment_id", "endpoint_id", "status", -count(*) FROM "delivery_changes"
    WHERE "xid" >= (SELECT "xid" FROM "start") GROUP BY 1, 2, 3
    UNION ALL
    SELECT "environment_id", "endpoint_id", "previous_status", count(*) FROM "delivery_changes"
    WHERE "xid" >= (SELECT "xid" FROM "start") GROUP BY 1, 2, 3
)
INSERT INTO "delivery_gauges" ("environment_id", "endpoint_id", "pending", "retrying", "held")
SELECT "environment_id", coalesce("endpoint_id", '00000000-0000-0000-0000-000000000000'),
    coalesce(sum("number") FILTER (WHERE "status" = 'PENDING'), 0),
    coalesce(sum("number") FILTER (WHERE "status" = 'RETRYING'), 0),
    coalesce(sum("number") FILTER (WHERE "status" = 'HELD'), 0)
FROM "waiting" GROUP BY GROUPING SETS (("environment_id", "endpoint_id"), ("environment_id"));
