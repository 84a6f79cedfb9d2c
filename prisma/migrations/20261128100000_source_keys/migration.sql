-- Of the event, so that deliveries are found by it in their own order. Index and values of existing rows: src/storage/migrations/online-steps.ts
ALTER TABLE "deliveries" ADD COLUMN "source_key" TEXT;
