-- Second factors: authenticator apps and recovery codes; what sessions were proved by; roles that demand one; never changed once released.

CREATE TABLE "factors" (
  "id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "kind" TEXT NOT NULL,
  "name" TEXT,
  "seed" TEXT,
  "epoch" INTEGER NOT NULL,
  "added_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "factors_by_user_id" ON "factors" ("user_id", "id");

CREATE TABLE "factor_states" (
  "factor_id" TEXT NOT NULL,
  "last_step" INTEGER NOT NULL,
  "last_used_at" INTEGER NOT NULL,
  "failures" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("factor_id")
) STRICT, WITHOUT ROWID;

CREATE TABLE "recovery_codes" (
  "user_id" TEXT NOT NULL,
  "hash" TEXT NOT NULL,
  "epoch" INTEGER NOT NULL,
  "used_at" INTEGER,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("user_id", "hash")
) STRICT, WITHOUT ROWID;

ALTER TABLE "credentials" RENAME TO "credentials_before_factors";
DROP INDEX "credentials_by_hash_cost";
CREATE TABLE "credentials" (
  "user_id" TEXT NOT NULL,
  "password_hash" TEXT,
  "hash_cost" TEXT,
  "set_at" INTEGER,
  "must_change" INTEGER NOT NULL,
  "temporary_until" INTEGER,
  "is_short" INTEGER,
  "second_factor_since" INTEGER,
  "address_proved_at" INTEGER,
  "epoch" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("user_id")
) STRICT, WITHOUT ROWID;
INSERT INTO "credentials"
  SELECT "user_id", "password_hash", "hash_cost", "set_at", "must_change", "temporary_until", NULL, NULL, "address_proved_at",
    "epoch", "version"
  FROM "credentials_before_factors";
DROP TABLE "credentials_before_factors";
CREATE INDEX "credentials_by_hash_cost" ON "credentials" ("hash_cost", "user_id");

ALTER TABLE "sessions" RENAME TO "sessions_before_factors";
DROP INDEX "sessions_by_user_id_created_at";
DROP INDEX "sessions_by_ended_at";
DROP INDEX "sessions_by_expires_at";
CREATE TABLE "sessions" (
  "id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "device_name" TEXT,
  "platform" TEXT,
  "ip" TEXT,
  "user_agent" TEXT,
  "created_at" INTEGER NOT NULL,
  "authenticated_at" INTEGER NOT NULL,
  "proofs" TEXT,
  "expires_at" INTEGER NOT NULL,
  "ended_at" INTEGER,
  "end_reason" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "sessions"
  SELECT "id", "user_id", "device_name", "platform", "ip", "user_agent", "created_at", "authenticated_at", NULL, "expires_at",
    "ended_at", "end_reason", "version"
  FROM "sessions_before_factors";
DROP TABLE "sessions_before_factors";
CREATE INDEX "sessions_by_user_id_created_at" ON "sessions" ("user_id", "created_at", "id");
CREATE INDEX "sessions_by_ended_at" ON "sessions" ("ended_at", "id");
CREATE INDEX "sessions_by_expires_at" ON "sessions" ("expires_at", "id");

ALTER TABLE "challenges" RENAME TO "challenges_before_factors";
DROP INDEX "challenges_by_user_id";
DROP INDEX "challenges_by_expires_at";
CREATE TABLE "challenges" (
  "id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "step" TEXT NOT NULL,
  "epoch" INTEGER NOT NULL,
  "proofs" TEXT,
  "proved_at" INTEGER,
  "seed" TEXT,
  "failures" INTEGER,
  "code_step" INTEGER,
  "device_name" TEXT,
  "platform" TEXT,
  "is_known_device" INTEGER,
  "device_id" TEXT,
  "created_at" INTEGER NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "used_at" INTEGER,
  "session_id" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "challenges"
  SELECT "id", "user_id", "step", "epoch", NULL, NULL, NULL, NULL, NULL, "device_name", "platform", "is_known_device", NULL,
    "created_at", "expires_at", "used_at", "session_id", "version"
  FROM "challenges_before_factors";
DROP TABLE "challenges_before_factors";
CREATE INDEX "challenges_by_user_id" ON "challenges" ("user_id", "id");
CREATE INDEX "challenges_by_expires_at" ON "challenges" ("expires_at", "id");

ALTER TABLE "roles" RENAME TO "roles_before_factors";
CREATE TABLE "roles" (
  "name" TEXT NOT NULL,
  "description" TEXT,
  "is_default" INTEGER NOT NULL,
  "needs_second_factor" INTEGER,
  "inherits" TEXT NOT NULL,
  "grants" TEXT NOT NULL,
  "max_holders" INTEGER,
  "grantable_by" TEXT NOT NULL,
  "created_at" INTEGER NOT NULL,
  "updated_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("name")
) STRICT, WITHOUT ROWID;
INSERT INTO "roles"
  SELECT "name", "description", "is_default", NULL, "inherits", "grants", "max_holders", "grantable_by", "created_at",
    "updated_at", "version"
  FROM "roles_before_factors";
DROP TABLE "roles_before_factors";
