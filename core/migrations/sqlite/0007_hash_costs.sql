-- What stored hashes cost is known beside them; never changed once released.

CREATE TABLE "hash_costs" (
  "cost" TEXT NOT NULL,
  "used_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("cost")
) STRICT, WITHOUT ROWID;

ALTER TABLE "credentials" RENAME TO "credentials_without_costs";
CREATE TABLE "credentials" (
  "user_id" TEXT NOT NULL,
  "password_hash" TEXT,
  "hash_cost" TEXT,
  "set_at" INTEGER,
  "must_change" INTEGER NOT NULL,
  "temporary_until" INTEGER,
  "epoch" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("user_id")
) STRICT, WITHOUT ROWID;
-- Until now all were made by Argon2id: behind the cost stand a salt of 22 and a hash of 43 letters, each after a `$`.
INSERT INTO "credentials"
  SELECT "user_id", "password_hash", substr("password_hash", 2, length("password_hash") - 68), "set_at", "must_change",
    "temporary_until", "epoch", "version"
  FROM "credentials_without_costs";
DROP TABLE "credentials_without_costs";
CREATE INDEX "credentials_by_hash_cost" ON "credentials" ("hash_cost", "user_id");
INSERT INTO "hash_costs"
  SELECT "hash_cost", max(coalesce("set_at", 0)), 1 FROM "credentials" WHERE "hash_cost" IS NOT NULL GROUP BY "hash_cost";
