-- Takes 0040_lagging_consumers back; never changed once released.

ALTER TABLE "consumers" RENAME TO "consumers_to_undo";
DROP INDEX "consumers_by_reached_at";
CREATE TABLE "consumers" (
  "name" TEXT NOT NULL,
  "position" TEXT NOT NULL,
  "reached_at" INTEGER NOT NULL,
  "lease" TEXT,
  "leased_until" INTEGER,
  "created_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("name")
) STRICT, WITHOUT ROWID;
INSERT INTO "consumers"
  SELECT "name", "position", "reached_at", "lease", "leased_until", "created_at", "version"
  FROM "consumers_to_undo";
DROP TABLE "consumers_to_undo";
CREATE INDEX "consumers_by_reached_at" ON "consumers" ("reached_at", "name");
