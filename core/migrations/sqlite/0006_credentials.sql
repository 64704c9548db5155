-- A credential may be without a password, a password temporary or expired; sign-ins may owe a step, and a session knows when
-- its user proved last who it is; never changed once released.

ALTER TABLE "credentials" RENAME TO "credentials_of_passwords";
CREATE TABLE "credentials" (
  "user_id" TEXT NOT NULL,
  "password_hash" TEXT,
  "set_at" INTEGER,
  "must_change" INTEGER NOT NULL,
  "temporary_until" INTEGER,
  "epoch" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("user_id")
) STRICT, WITHOUT ROWID;
INSERT INTO "credentials"
  SELECT "user_id", "password_hash", "set_at", 0, NULL, "epoch", "version" FROM "credentials_of_passwords";
DROP TABLE "credentials_of_passwords";

ALTER TABLE "sessions" RENAME TO "sessions_of_logins";
CREATE TABLE "sessions" (
  "id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "device_name" TEXT,
  "platform" TEXT,
  "ip" TEXT,
  "user_agent" TEXT,
  "created_at" INTEGER NOT NULL,
  "authenticated_at" INTEGER NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "ended_at" INTEGER,
  "end_reason" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "sessions"
  SELECT "id", "user_id", "device_name", "platform", "ip", "user_agent", "created_at", "created_at", "expires_at", "ended_at",
    "end_reason", "version"
  FROM "sessions_of_logins";
DROP TABLE "sessions_of_logins";
CREATE INDEX "sessions_by_user_id_created_at" ON "sessions" ("user_id", "created_at", "id");
CREATE INDEX "sessions_by_ended_at" ON "sessions" ("ended_at", "id");
CREATE INDEX "sessions_by_expires_at" ON "sessions" ("expires_at", "id");

CREATE TABLE "challenges" (
  "id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "step" TEXT NOT NULL,
  "epoch" INTEGER NOT NULL,
  "device_name" TEXT,
  "platform" TEXT,
  "created_at" INTEGER NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "used_at" INTEGER,
  "session_id" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "challenges_by_user_id" ON "challenges" ("user_id", "id");
CREATE INDEX "challenges_by_expires_at" ON "challenges" ("expires_at", "id");
