-- CreateEnum
CREATE TYPE "endpoint_change_kind" AS ENUM ('CREATED', 'UPDATED', 'PAUSED', 'RESUMED', 'DISABLED', 'ENABLED', 'DELETED', 'SECRET_ROTATED', 'BACKED_OFF', 'RECOVERED');

-- CreateTable
CREATE TABLE "failure_streaks" (
    "endpoint_id" UUID NOT NULL,
    "failures" INTEGER NOT NULL,
    "began_at" TIMESTAMPTZ(3) NOT NULL,
    "spaced_failures" INTEGER NOT NULL,
    "spaced_at" TIMESTAMPTZ(3) NOT NULL,
    "probes" INTEGER NOT NULL DEFAULT 0,
    "next_probe_at" TIMESTAMPTZ(3),

    CONSTRAINT "failure_streaks_pkey" PRIMARY KEY ("endpoint_id")
);

-- CreateTable
CREATE TABLE "endpoint_changes" (
    "id" BIGSERIAL NOT NULL,
    "xid" xid8 NOT NULL DEFAULT pg_current_xact_id(),
    "environment_id" UUID NOT NULL,
    "endpoint_id" UUID NOT NULL,
    "kind" "endpoint_change_kind" NOT NULL,
    "status" "endpoint_status" NOT NULL,
    "reason" TEXT,
    "changed_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "endpoint_changes_pkey" PRIMARY KEY ("xid", "id")
);

-- CreateTable
CREATE TABLE "announcements_position" (
    "id" INTEGER NOT NULL,
    "xid" xid8 NOT NULL,

    CONSTRAINT "announcements_position_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "announcements_position_single" CHECK ("id" = 1)
);

-- CreateIndex
CREATE INDEX "endpoint_changes_environment_id_idx" ON "endpoint_changes"("environment_id", "xid", "id");

-- AddForeignKey
ALTER TABLE "failure_streaks" ADD CONSTRAINT "failure_streaks_endpoint_id_fkey" FOREIGN KEY ("endpoint_id") REFERENCES "endpoints"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What schema.prisma can't say --------------------------------------------------------------------

-- What happened before is no news.
INSERT INTO "announcements_position" ("id", "xid") SELECT 1, pg_snapshot_xmin(pg_current_snapshot());

-- Few rows that are written all the time: room on the page, so that no index is touched.
ALTER TABLE "failure_streaks" SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE "announcements_position" SET (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
