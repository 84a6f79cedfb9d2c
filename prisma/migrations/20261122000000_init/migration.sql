
-- What schema.prisma can't say --------------------------------------------------------------------

-- The scheduler takes retries that are due from here.
CREATE INDEX "deliveries_due_idx" ON "deliveries"("next_attempt_at") WHERE "status" = 'RETRYING';

-- A lane is drained in order of age from here.
CREATE INDEX "deliveries_lane_idx" ON "deliveries"("endpoint_id", "id") WHERE "in_lane";

-- Routes by event type.
CREATE INDEX "routes_event_types_idx" ON "routes" USING GIN ("event_types");

-- The tables that change all the time: vacuum and analyze after thousands of rows, not after a fifth of the table.
ALTER TABLE "deliveries" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02, fillfactor = 85);
ALTER TABLE "delivery_attempts" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE "delivery_changes" SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- The tenant that the operator's key acts in unless it names another.
INSERT INTO "organizations" ("id", "name") VALUES ('00000000-0000-7000-8000-000000000001', 'default');
INSERT INTO "environments" ("id", "organization_id", "name")
VALUES ('00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000001', 'production');
