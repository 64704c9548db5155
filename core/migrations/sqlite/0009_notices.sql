-- Notices and links by mail; names that are held for who had them; since when an account's address is proved, and whether a sign-in comes from a known device;
-- never changed once released.

ALTER TABLE "claims" RENAME TO "claims_for_ever";
DROP INDEX "claims_by_owner";
CREATE TABLE "claims" (
  "kind" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "owner" TEXT NOT NULL,
  "held_until" INTEGER,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("kind", "name")
) STRICT, WITHOUT ROWID;
INSERT INTO "claims" SELECT "kind", "name", "owner", NULL, "version" FROM "claims_for_ever";
DROP TABLE "claims_for_ever";
CREATE INDEX "claims_by_owner" ON "claims" ("owner", "kind", "name");
CREATE INDEX "claims_by_held_until" ON "claims" ("held_until", "kind", "name");

CREATE TABLE "links" (
  "id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "purpose" TEXT NOT NULL,
  "address" TEXT NOT NULL,
  "epoch" INTEGER NOT NULL,
  "created_at" INTEGER NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "used_at" INTEGER,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "links_by_user_id" ON "links" ("user_id", "id");
CREATE INDEX "links_by_expires_at" ON "links" ("expires_at", "id");

CREATE TABLE "notices" (
  "id" TEXT NOT NULL,
  "kind" TEXT NOT NULL,
  "user_id" TEXT,
  "identifier" TEXT,
  "address" TEXT,
  "link_id" TEXT,
  "epoch" INTEGER,
  "ip" TEXT,
  "user_agent" TEXT,
  "at" INTEGER NOT NULL,
  "due_at" INTEGER NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "tries" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "notices_by_user_id" ON "notices" ("user_id", "id");
CREATE INDEX "notices_by_due_at" ON "notices" ("due_at", "id");
CREATE INDEX "notices_by_expires_at" ON "notices" ("expires_at", "id");

ALTER TABLE "credentials" RENAME TO "credentials_before_addresses";
DROP INDEX "credentials_by_hash_cost";
CREATE TABLE "credentials" (
  "user_id" TEXT NOT NULL,
  "password_hash" TEXT,
  "hash_cost" TEXT,
  "set_at" INTEGER,
  "must_change" INTEGER NOT NULL,
  "temporary_until" INTEGER,
  "address_proved_at" INTEGER,
  "epoch" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("user_id")
) STRICT, WITHOUT ROWID;
INSERT INTO "credentials"
  SELECT "user_id", "password_hash", "hash_cost", "set_at", "must_change", "temporary_until", NULL, "epoch", "version"
  FROM "credentials_before_addresses";
DROP TABLE "credentials_before_addresses";
CREATE INDEX "credentials_by_hash_cost" ON "credentials" ("hash_cost", "user_id");

ALTER TABLE "challenges" RENAME TO "challenges_before_devices";
DROP INDEX "challenges_by_user_id";
DROP INDEX "challenges_by_expires_at";
CREATE TABLE "challenges" (
  "id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "step" TEXT NOT NULL,
  "epoch" INTEGER NOT NULL,
  "device_name" TEXT,
  "platform" TEXT,
  "is_known_device" INTEGER,
  "created_at" INTEGER NOT NULL,
  "expires_at" INTEGER NOT NULL,
  "used_at" INTEGER,
  "session_id" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "challenges"
  SELECT "id", "user_id", "step", "epoch", "device_name", "platform", NULL, "created_at", "expires_at", "used_at", "session_id",
    "version"
  FROM "challenges_before_devices";
DROP TABLE "challenges_before_devices";
CREATE INDEX "challenges_by_user_id" ON "challenges" ("user_id", "id");
CREATE INDEX "challenges_by_expires_at" ON "challenges" ("expires_at", "id");
