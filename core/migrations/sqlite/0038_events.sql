-- What others are told of a commit, in its line of the change feed; never changed once released.

ALTER TABLE "commits" RENAME TO "commits_before_events";
DROP INDEX "commits_by_id";
CREATE TABLE "commits" (
  "position" INTEGER NOT NULL,
  "id" TEXT NOT NULL,
  "at" INTEGER NOT NULL,
  "touched" TEXT NOT NULL,
  "events" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("position")
) STRICT;
INSERT INTO "commits" SELECT "position", "id", "at", "touched", NULL, "version" FROM "commits_before_events";
DROP TABLE "commits_before_events";
CREATE INDEX "commits_by_id" ON "commits" ("id", "position");

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
CREATE INDEX "consumers_by_reached_at" ON "consumers" ("reached_at", "name");
