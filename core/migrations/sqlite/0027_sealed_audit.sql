-- Audit entries and heads are sealed with a key, and say from where on their own; never changed once released.

ALTER TABLE "audit_entries" RENAME TO "audit_entries_before_sealing";
DROP INDEX "audit_entries_by_actor_at";
DROP INDEX "audit_entries_by_target_id_at";
DROP INDEX "audit_entries_by_action_at";
CREATE TABLE "audit_entries" (
  "lane" INTEGER NOT NULL,
  "seq" INTEGER NOT NULL,
  "id" TEXT NOT NULL,
  "at" INTEGER NOT NULL,
  "action" TEXT NOT NULL,
  "actor" TEXT NOT NULL,
  "on_behalf_of" TEXT,
  "session_id" TEXT,
  "target_type" TEXT,
  "target_id" TEXT,
  "facts" TEXT,
  "payload" TEXT,
  "salt" TEXT,
  "commitment" TEXT NOT NULL,
  "origin" TEXT,
  "origin_salt" TEXT,
  "origin_commitment" TEXT,
  "previous" TEXT NOT NULL,
  "hash" TEXT NOT NULL,
  "key_id" TEXT,
  "mac" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("lane", "seq")
) STRICT, WITHOUT ROWID;
INSERT INTO "audit_entries"
  ("lane", "seq", "id", "at", "action", "actor", "target_type", "target_id", "payload", "salt", "commitment", "previous", "hash", "version")
  SELECT "lane", "seq", "id", "at", "action", "actor", "target_type", "target_id", "payload", "salt", "commitment", "previous", "hash", "version"
  FROM "audit_entries_before_sealing";
DROP TABLE "audit_entries_before_sealing";
CREATE INDEX "audit_entries_by_actor_at" ON "audit_entries" ("actor", "at", "lane", "seq");
CREATE INDEX "audit_entries_by_target_id_at" ON "audit_entries" ("target_id", "at", "lane", "seq");
CREATE INDEX "audit_entries_by_action_at" ON "audit_entries" ("action", "at", "lane", "seq");
ALTER TABLE "audit_heads" RENAME TO "audit_heads_before_sealing";
CREATE TABLE "audit_heads" (
  "lane" INTEGER NOT NULL,
  "seq" INTEGER NOT NULL,
  "hash" TEXT NOT NULL,
  "key_id" TEXT,
  "mac" TEXT,
  "version" INTEGER NOT NULL,
  PRIMARY KEY ("lane")
) STRICT;
INSERT INTO "audit_heads" ("lane", "seq", "hash", "version") SELECT "lane", "seq", "hash", "version" FROM "audit_heads_before_sealing";
DROP TABLE "audit_heads_before_sealing";
