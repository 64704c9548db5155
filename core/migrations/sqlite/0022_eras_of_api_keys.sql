-- How often the API keys of everybody had been ended when one was made; never changed once released.

ALTER TABLE "api_keys" RENAME TO "api_keys_before_eras";
DROP INDEX "api_keys_by_user_id_created_at";
DROP INDEX "api_keys_by_ended_at";
DROP INDEX "api_keys_by_expires_at";
CREATE TABLE "api_keys" (
  "id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "hash" TEXT NOT NULL,
  "patterns" TEXT,
  "networks" TEXT,
  "has_two_factors" INTEGER NOT NULL,
  "era" INTEGER,
  "created_at" INTEGER NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "ended_at" INTEGER,
  "end_reason" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "api_keys"
  SELECT "id", "user_id", "name", "hash", "patterns", "networks", "has_two_factors", NULL, "created_at", "expires_at", "ended_at",
    "end_reason", "version"
  FROM "api_keys_before_eras";
DROP TABLE "api_keys_before_eras";
CREATE INDEX "api_keys_by_user_id_created_at" ON "api_keys" ("user_id", "created_at", "id");
CREATE INDEX "api_keys_by_ended_at" ON "api_keys" ("ended_at", "id");
CREATE INDEX "api_keys_by_expires_at" ON "api_keys" ("expires_at", "id");
