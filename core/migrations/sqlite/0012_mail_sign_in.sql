-- Signing in by mail: challenges of whoever has a name; never changed once released.

ALTER TABLE "challenges" RENAME TO "challenges_before_mail";
DROP INDEX "challenges_by_user_id";
DROP INDEX "challenges_by_expires_at";
CREATE TABLE "challenges" (
  "id" TEXT NOT NULL,
  "user_id" TEXT,
  "identifier" TEXT,
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
  SELECT "id", "user_id", NULL, "step", "epoch", "proofs", "proved_at", "seed", "failures", "code_step", "device_name",
    "platform", "is_known_device", "device_id", "created_at", "expires_at", "used_at", "session_id", "version"
  FROM "challenges_before_mail";
DROP TABLE "challenges_before_mail";
CREATE INDEX "challenges_by_user_id" ON "challenges" ("user_id", "id");
CREATE INDEX "challenges_by_expires_at" ON "challenges" ("expires_at", "id");
