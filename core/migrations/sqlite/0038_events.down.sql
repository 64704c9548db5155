-- Takes 0038_events back; never changed once released.

ALTER TABLE "commits" RENAME TO "commits_to_undo";
DROP INDEX "commits_by_id";
CREATE TABLE "commits" (
  "position" INTEGER NOT NULL,
  "id" TEXT NOT NULL,
  "at" INTEGER NOT NULL,
  "touched" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("position")
) STRICT;
INSERT INTO "commits"
  SELECT "position", "id", "at", "touched", "version"
  FROM "commits_to_undo";
DROP TABLE "commits_to_undo";
CREATE INDEX "commits_by_id" ON "commits" ("id", "position");
DROP TABLE "consumers";
