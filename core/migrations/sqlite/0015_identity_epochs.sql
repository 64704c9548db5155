-- Which epoch of its account began with an identity; never changed once released.

ALTER TABLE "identities" RENAME TO "identities_before_epochs";
DROP INDEX "identities_by_user_id";
CREATE TABLE "identities" (
  "id" TEXT NOT NULL,
  "user_id" TEXT NOT NULL,
  "issuer" TEXT NOT NULL,
  "subject" TEXT NOT NULL,
  "linked_at" INTEGER NOT NULL,
  "epoch" INTEGER,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("id")
) STRICT, WITHOUT ROWID;
INSERT INTO "identities"
  SELECT "id", "user_id", "issuer", "subject", "linked_at", NULL, "version" FROM "identities_before_epochs";
DROP TABLE "identities_before_epochs";
CREATE INDEX "identities_by_user_id" ON "identities" ("user_id", "id");
