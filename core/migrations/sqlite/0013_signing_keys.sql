-- Keys of tokens that follow one another; never changed once released.

ALTER TABLE "signing_keys" RENAME TO "signing_keys_before_rotation";
CREATE TABLE "signing_keys" (
  "id" TEXT NOT NULL,
  "algorithm" TEXT,
  "secret" TEXT NOT NULL,
  "created_at" INTEGER NOT NULL,
  "signs_from" INTEGER,
  "ends_at" INTEGER,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "signing_keys"
  SELECT "id", NULL, "secret", "created_at", NULL, NULL, "version" FROM "signing_keys_before_rotation";
DROP TABLE "signing_keys_before_rotation";
CREATE INDEX "signing_keys_by_ends_at" ON "signing_keys" ("ends_at", "id");
