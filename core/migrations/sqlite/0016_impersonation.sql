-- Sessions of somebody who acts as another user; how often the sessions of everybody had been ended before; never changed once
-- released.

ALTER TABLE "sessions" RENAME TO "sessions_before_impersonation";
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
  "impersonator_id" TEXT,
  "impersonator_session_id" TEXT,
  "era" INTEGER,
  "expires_at" INTEGER NOT NULL,
  "ended_at" INTEGER,
  "end_reason" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "sessions"
  SELECT "id", "user_id", "device_name", "platform", "ip", "user_agent", "created_at", "authenticated_at", "proofs", NULL, NULL, NULL,
    "expires_at", "ended_at", "end_reason", "version"
  FROM "sessions_before_impersonation";
DROP TABLE "sessions_before_impersonation";
CREATE INDEX "sessions_by_user_id_created_at" ON "sessions" ("user_id", "created_at", "id");
CREATE INDEX "sessions_by_ended_at" ON "sessions" ("ended_at", "id");
CREATE INDEX "sessions_by_expires_at" ON "sessions" ("expires_at", "id");

ALTER TABLE "challenges" RENAME TO "challenges_before_eras";
DROP INDEX "challenges_by_user_id";
DROP INDEX "challenges_by_expires_at";
CREATE TABLE "challenges" (
  "id" TEXT NOT NULL,
  "user_id" TEXT,
  "identifier" TEXT,
  "step" TEXT NOT NULL,
  "epoch" INTEGER NOT NULL,
  "era" INTEGER,
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
  SELECT "id", "user_id", "identifier", "step", "epoch", NULL, "proofs", "proved_at", "seed", "failures", "code_step", "device_name",
    "platform", "is_known_device", "device_id", "created_at", "expires_at", "used_at", "session_id", "version"
  FROM "challenges_before_eras";
DROP TABLE "challenges_before_eras";
CREATE INDEX "challenges_by_user_id" ON "challenges" ("user_id", "id");
CREATE INDEX "challenges_by_expires_at" ON "challenges" ("expires_at", "id");
