-- Since when consumers lag; never changed once released.

ALTER TABLE "consumers" RENAME TO "consumers_before_lagging";
DROP INDEX "consumers_by_reached_at";
CREATE TABLE "consumers" (
  "name" TEXT NOT NULL,
  "position" TEXT NOT NULL,
  "reached_at" INTEGER NOT NULL,
  "lease" TEXT,
  "leased_until" INTEGER,
  "lagging_since" INTEGER,
  "created_at" INTEGER NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("name")
) STRICT, WITHOUT ROWID;
INSERT INTO "consumers"
  SELECT "name", "position", "reached_at", "lease", "leased_until", NULL, "created_at", "version"
  FROM "consumers_before_lagging";
DROP TABLE "consumers_before_lagging";
CREATE INDEX "consumers_by_reached_at" ON "consumers" ("reached_at", "name");
