-- Passkeys: their keys, their counters, and what they call an account; never changed once released.

CREATE TABLE "passkeys" (
  "credential_id" TEXT NOT NULL,
  "factor_id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "public_key" TEXT NOT NULL,
  "transports" TEXT NOT NULL,
  "is_backup_eligible" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("credential_id")
) STRICT, WITHOUT ROWID;
CREATE INDEX "passkeys_by_user_id" ON "passkeys" ("user_id", "credential_id");

ALTER TABLE "factor_states" RENAME TO "factor_states_before_passkeys";
CREATE TABLE "factor_states" (
  "factor_id" TEXT NOT NULL,
  "last_step" INTEGER NOT NULL,
  "counter" INTEGER,
  "is_backed_up" INTEGER,
  "has_verified" INTEGER,
  "last_used_at" INTEGER NOT NULL,
  "failures" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("factor_id")
) STRICT, WITHOUT ROWID;
INSERT INTO "factor_states"
  SELECT "factor_id", "last_step", NULL, NULL, NULL, "last_used_at", "failures", "version"
  FROM "factor_states_before_passkeys";
DROP TABLE "factor_states_before_passkeys";

ALTER TABLE "credentials" RENAME TO "credentials_before_passkeys";
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
  "handle" TEXT,
  "moved_at" INTEGER,
  "epoch" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("user_id")
) STRICT, WITHOUT ROWID;
INSERT INTO "credentials"
  SELECT "user_id", "password_hash", "hash_cost", "set_at", "must_change", "temporary_until", "is_short",
    "second_factor_since", "address_proved_at", NULL, NULL, "epoch", "version"
  FROM "credentials_before_passkeys";
DROP TABLE "credentials_before_passkeys";
CREATE INDEX "credentials_by_hash_cost" ON "credentials" ("hash_cost", "user_id");
