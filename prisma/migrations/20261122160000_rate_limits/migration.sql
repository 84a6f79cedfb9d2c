-- How a key begins. Those made before have none: only their hash is known.
ALTER TABLE "api_keys" ADD COLUMN "prefix" TEXT;
