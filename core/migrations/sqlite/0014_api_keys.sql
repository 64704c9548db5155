-- API keys, and when each was last used; never changed once released.

CREATE TABLE "api_keys" (
  "id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "hash" TEXT NOT NULL,
  "patterns" TEXT,
  "networks" TEXT,
  "has_two_factors" INTEGER NOT NULL,
  "created_at" INTEGER NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "ended_at" INTEGER,
  "end_reason" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "api_keys_by_user_id_created_at" ON "api_keys" ("user_id", "created_at", "id");
CREATE INDEX "api_keys_by_ended_at" ON "api_keys" ("ended_at", "id");
CREATE INDEX "api_keys_by_expires_at" ON "api_keys" ("expires_at", "id");

CREATE TABLE "api_key_uses" (
  "api_key_id" TEXT NOT NULL,
  "last_used_at" INTEGER,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("api_key_id")
) STRICT, WITHOUT ROWID;
