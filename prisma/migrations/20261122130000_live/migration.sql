-- What schema.prisma can't say --------------------------------------------------------------------

-- Whoever reads the log at a pace of their own reads the changes of one environment.
CREATE INDEX IF NOT EXISTS "delivery_changes_environment_idx" ON "delivery_changes"("environment_id", "xid", "id");
