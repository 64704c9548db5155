-- Generated from the declarations of the records; never changed once released.

CREATE TABLE "audit_entries" (
  "lane" INTEGER NOT NULL,
  "seq" INTEGER NOT NULL,
  "id" TEXT NOT NULL,
  "at" INTEGER NOT NULL,
  "action" TEXT NOT NULL,
  "actor" TEXT NOT NULL,
  "target_type" TEXT,
  "target_id" TEXT,
  "payload" TEXT,
  "salt" TEXT,
  "commitment" TEXT NOT NULL,
  "previous" TEXT NOT NULL,
  "hash" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("lane", "seq")
) STRICT, WITHOUT ROWID;
CREATE INDEX "audit_entries_by_actor_at" ON "audit_entries" ("actor", "at", "lane", "seq");
CREATE INDEX "audit_entries_by_target_id_at" ON "audit_entries" ("target_id", "at", "lane", "seq");
CREATE INDEX "audit_entries_by_action_at" ON "audit_entries" ("action", "at", "lane", "seq");
CREATE TABLE "audit_heads" (
  "lane" INTEGER NOT NULL,
  "seq" INTEGER NOT NULL,
  "hash" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("lane")
) STRICT;
CREATE TABLE "commits" (
  "position" INTEGER NOT NULL,
  "id" TEXT NOT NULL,
  "at" INTEGER NOT NULL,
  "touched" TEXT NOT NULL,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("position")
) STRICT;
CREATE INDEX "commits_by_id" ON "commits" ("id", "position");
